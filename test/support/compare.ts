/**
 * The one comparison of numbers in this project's tests: relative error in the Euclidean norm, ‖a − b‖ / ‖b‖. A failure
 * says which tensor, how far off, and where the largest difference is. NaN, infinity and another length always fail.
 */

export interface Comparison {
  /** ‖actual − expected‖ / ‖expected‖; ‖actual‖ where the expected values are all zero. */
  readonly relative: number;
  readonly largest: number;
  /** Where the largest absolute difference is; -1 for empty tensors. */
  readonly at: number;
}

export interface Closeness {
  /** Of the tensor, for the message. */
  readonly name: string;
  /** Largest relative error allowed; 0 demands equal values. */
  readonly tolerance: number;
  /** Lets the message say where as an index of each axis. */
  readonly shape?: readonly number[];
}

export function compare(actual: ArrayLike<number>, expected: ArrayLike<number>): Comparison {
  let difference = 0;
  let norm = 0;
  let largest = 0;
  let at = expected.length > 0 ? 0 : -1;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    difference += error * error;
    norm += expected[i] * expected[i];
    if (error > largest) {
      largest = error;
      at = i;
    }
  }
  return { relative: Math.sqrt(difference) / (norm > 0 ? Math.sqrt(norm) : 1), largest, at };
}

/** Throws unless `actual` is `expected` to within the relative tolerance. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, closeness: Closeness): void {
  const { name, tolerance, shape } = closeness;
  const reject = (message: string): never => {
    const error = new Error(`${name}: ${message}`);
    Error.captureStackTrace(error, expectClose);
    throw error;
  };
  if (actual.length !== expected.length) reject(`expected ${expected.length} elements, got ${actual.length}`);
  for (let i = 0; i < expected.length; i++) {
    if (!Number.isFinite(actual[i]) || !Number.isFinite(expected[i])) {
      reject(`not finite at ${where(i, shape)}: expected ${expected[i]}, got ${actual[i]}`);
    }
  }
  const { relative, largest, at } = compare(actual, expected);
  if (relative <= tolerance) return;
  reject(
    `relative error ${relative.toExponential(2)} exceeds ${tolerance.toExponential(2)}; largest absolute error ` +
      `${largest.toExponential(2)} at ${where(at, shape)}: expected ${expected[at]}, got ${actual[at]}`,
  );
}

function where(position: number, shape: readonly number[] | undefined): string {
  if (shape === undefined) return `element ${position}`;
  const index: number[] = [];
  for (let axis = shape.length - 1, rest = position; axis >= 0; axis--) {
    index.unshift(rest % shape[axis]);
    rest = Math.floor(rest / shape[axis]);
  }
  return `[${index.join(", ")}]`;
}
