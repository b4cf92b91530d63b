/**
 * What decoding keeps of one gated layer: keys and values of the open span, the sum of lkᵀ v over finished chunks, and
 * with token shift the features that the next token takes over. Arrays that a model has no use for are empty.
 */

/** The sizes of a decoding state, and which of its parts a model has. */
export interface DecodingShape {
  readonly layers: number;
  /** n: tokens of the open span: the chunk C, or all maxLength of flash-quad. */
  readonly span: number;
  /** s */
  readonly shared: number;
  /** e */
  readonly expanded: number;
  /** d */
  readonly width: number;
  readonly vocabSize: number;
  /** Whether the span is a chunk, after which the next begins: FLASH. */
  readonly chunked: boolean;
  /** Whether the open span is attended to: all but the global half of FLASH alone. */
  readonly quadratic: boolean;
  /** Whether sums of finished chunks follow: FLASH, but for its local half alone. */
  readonly distant: boolean;
  readonly tokenShift: boolean;
  /** What each query and key is multiplied by: the quadratic pair, then the linear pair, of those that there are. */
  readonly scales: readonly number[];
}

export interface LayerState {
  /** [n, s] */
  readonly keys: Float32Array;
  /** [n, s]: linear keys of the current chunk, read when it is folded. */
  readonly linearKeys: Float32Array;
  /** What new tokens read in one product: the values, the sum of finished chunks after them, or one of both. */
  readonly memory: Float32Array;
  /** [n, e]; a view of `memory` where the open span is attended to. */
  readonly values: Float32Array;
  /** [s, e]; a view of `memory`. */
  readonly done: Float32Array;
  /** [d / 2]: of the last token. */
  readonly before: Float32Array;
}

/** Rows of `memory`. */
export function memoryRows({ span, shared, quadratic, distant }: DecodingShape): number {
  return (quadratic ? span : 0) + (distant ? shared : 0);
}

export function newLayerState(shape: DecodingShape): LayerState {
  const { span: n, shared: s, expanded: e, width, quadratic, distant, tokenShift } = shape;
  const memory = new Float32Array(memoryRows(shape) * e);
  const inMemory = quadratic ? n * e : 0;
  return {
    keys: new Float32Array(quadratic ? n * s : 0),
    linearKeys: new Float32Array(distant ? n * s : 0),
    memory,
    values: quadratic ? memory.subarray(0, inMemory) : new Float32Array(n * e),
    done: memory.subarray(inMemory),
    before: new Float32Array(tokenShift ? width / 2 : 0),
  };
}

/** The arrays that own their memory. */
export function arraysOf({ keys, linearKeys, memory, values, before }: LayerState): readonly Float32Array[] {
  return [keys, linearKeys, memory, ...(values.buffer === memory.buffer ? [] : [values]), before];
}

/** Back to the start of a text. What is left in keys and values is not read before it is written again. */
export function resetLayer({ memory, before }: LayerState): void {
  memory.fill(0);
  before.fill(0);
}

/**
 * Stores what gatedUnitStep returned of `count` tokens: rows [count, width] that begin at element `from`, at places
 * `open` … of the open span.
 */
export function storeRows(
  layer: LayerState,
  { shared: s, expanded: e, quadratic, distant }: DecodingShape,
  rows: Float32Array,
  { from, open, count, width }: { from: number; open: number; count: number; width: number },
): void {
  for (let p = 0; p < count; p++) {
    const at = open + p;
    let next = from + p * width;
    const take = (size: number) => {
      next += size;
      return rows.subarray(next - size, next);
    };
    if (quadratic) layer.keys.set(take(s), at * s);
    if (distant) layer.linearKeys.set(take(s), at * s);
    layer.values.set(take(e), at * e);
    if (p === count - 1) layer.before.set(take(layer.before.length));
  }
}
