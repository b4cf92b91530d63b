/**
 * Training windows in the order of the text, for a model that goes on from window to window. Each corpus is read in
 * lanes, one for each example of a step: a lane reads a stretch of the text of its own, window after window. Where it reads
 * follows from the seed, the lane and how many windows it has read. mixture.ts decides which corpus comes next.
 */
import { LonghandError } from "../base/errors.ts";
import { randomKey, randomUniform } from "../base/random.ts";
import { emptyBatch, epochStream, readWindow, type TrainingBatch } from "./batches.ts";
import { chooser, type DataCursor, type WeightedCorpus } from "./mixture.ts";

export interface LaneRequest {
  /** Of the corpus. */
  readonly tokens: number;
  /** Tokens of one window, at least 1. */
  readonly context: number;
  readonly lanes: number;
  readonly seed: number;
  /** Number of the corpus in a mixture, default 0: each has an order of its own. */
  readonly corpus?: number;
}

export interface LaneWindow {
  /** Its first token. A window may run over the end of the corpus to its beginning. */
  readonly start: number;
  /** Whether the lane begins an epoch with it: what it read before is elsewhere. */
  readonly begins: boolean;
}

/**
 * Window number `index`, from 0, of a lane. In each epoch the lanes together read the corpus from a new random place on,
 * each as many windows, so that no token is a target twice; what is left out, less than `lanes` windows and one more, is
 * another stretch of text each time. Throws "data" when the corpus is too short for one window of each lane.
 */
export function laneWindow(request: LaneRequest, lane: number, index: number): LaneWindow {
  const { tokens, context, seed, corpus = 0 } = request;
  const perEpoch = windowsPerLane(request);
  const pairs = tokens - 1;
  const epoch = Math.floor(index / perEpoch);
  const phase = Math.floor(randomUniform(randomKey(seed, epochStream("phase", corpus), epoch), 0) * pairs);
  const window = lane * perEpoch + (index % perEpoch);
  return { start: (phase + window * context) % pairs, begins: index % perEpoch === 0 };
}

/** Windows of each lane in an epoch. Throws "data" when the corpus has fewer than `tokensForLanes`. */
export function windowsPerLane({ tokens, context, lanes }: Pick<LaneRequest, "tokens" | "context" | "lanes">): number {
  const windows = Math.floor((tokens - 1) / context / lanes);
  if (windows > 0) return windows;
  throw new LonghandError(
    "data",
    `lanes: ${lanes} of ${context} tokens each need at least ${tokensForLanes(context, lanes)} tokens, and the text has ${tokens}; give more text or a smaller batch`,
  );
}

/** How many tokens a corpus needs. */
export function tokensForLanes(context: number, lanes: number): number {
  return lanes * context + 1;
}

/** Where an example of a batch comes from. */
export interface LaneRow {
  readonly corpus: number;
  readonly lane: number;
  /** Whether it begins an epoch of its lane. */
  readonly begins: boolean;
}

export interface LaneBatchRequest {
  readonly corpora: readonly WeightedCorpus[];
  readonly context: number;
  readonly batch: number;
  /** Examples of a step: a multiple of `batch`. */
  readonly lanes: number;
  readonly seed: number;
  readonly cursor: DataCursor;
}

/** The place after so many examples that are not read. */
export function skipLanes(
  { corpora, lanes, seed, cursor }: Pick<LaneBatchRequest, "corpora" | "lanes" | "seed" | "cursor">,
  count: number,
): DataCursor {
  const choose = chooser(corpora, seed);
  const read = cursor.lanes?.map((windows) => [...windows]) ?? [];
  for (let i = 0; i < count; i++) read[choose(cursor.examples + i)][(cursor.examples + i) % lanes]++;
  const drawn = read.map((windows) => windows.reduce((sum, n) => sum + n, 0));
  return { ...cursor, examples: cursor.examples + count, drawn, lanes: read };
}

/** The next `batch` examples, where each comes from, and the place after them. Throws as `laneWindow` and `mixtureBatch`. */
export function laneBatch({ corpora, context, batch, lanes, seed, cursor }: LaneBatchRequest): {
  readonly batch: TrainingBatch;
  readonly rows: readonly LaneRow[];
  readonly cursor: DataCursor;
} {
  if (cursor.lanes?.length !== corpora.length) {
    throw new LonghandError("usage", `lanes: expected a place in each of ${corpora.length} corpora`);
  }
  const choose = chooser(corpora, seed);
  const made = emptyBatch(batch, context);
  const read = cursor.lanes.map((windows) => [...windows]);
  const rows: LaneRow[] = [];
  for (let row = 0; row < batch; row++) {
    const example = cursor.examples + row;
    const [corpus, lane] = [choose(example), example % lanes];
    const { sequence } = corpora[corpus];
    const request = { tokens: sequence.tokens, context, lanes, seed, corpus };
    const { start, begins } = laneWindow(request, lane, read[corpus][lane]);
    readWindow(sequence, start, context, made, row);
    read[corpus][lane]++;
    rows.push({ corpus, lane, begins });
  }
  const drawn = read.map((windows) => windows.reduce((sum, n) => sum + n, 0));
  return { batch: made, rows, cursor: { ...cursor, examples: cursor.examples + batch, drawn, lanes: read } };
}
