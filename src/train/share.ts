/**
 * Which examples of a step each of several processes takes: as many consecutive ones each, so that the step is the same
 * whatever their number. A process takes them in parts of a batch, all of one size, since its program has one shape.
 */
import { LonghandError } from "../base/errors.ts";

/** A step as the options say it. */
export interface WholeStep {
  readonly batch: number;
  /** Batches whose mean gradient makes one step. */
  readonly accumulate: number;
}

export interface Share {
  /** Number of the first example among those of the step. */
  readonly first: number;
  readonly examples: number;
  /** Examples of each part: a divisor of the batch. */
  readonly rows: number;
  /** Parts. */
  readonly parts: number;
}

/** The share of a process. Throws "usage" when the processes cannot take as many examples each. */
export function shareOf(
  { batch, accumulate }: WholeStep,
  { rank, size }: { readonly rank: number; readonly size: number },
): Share {
  const all = batch * accumulate;
  if (all % size !== 0) {
    const divisors = Array.from({ length: all }, (_, i) => i + 1).filter((n) => all % n === 0);
    const near = Math.ceil(all / size) * size;
    const larger =
      near % accumulate === 0 ? `\`batch\` ${near / accumulate}` : `\`batch\` ${near} with \`accumulate\` 1`;
    throw new LonghandError(
      "usage",
      `\`batch\` ${batch}: ${size} processes cannot take as many each of the ${all} examples of a step; choose ${larger}, or ${listed(divisors)} processes`,
    );
  }
  const examples = all / size;
  const rows = greatestCommonDivisor(batch, examples);
  return { first: rank * examples, examples, rows, parts: examples / rows };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** The largest few of them, the last by "or". */
function listed(numbers: readonly number[]): string {
  const few = numbers.slice(-4);
  return few.length === 1 ? `${few[0]}` : `${few.slice(0, -1).join(", ")} or ${few[few.length - 1]}`;
}
