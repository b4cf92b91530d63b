/**
 * The states that windows of training and evaluation go on from, on the host: one for each lane of each corpus. A window
 * goes on from its lane's state unless a document or an epoch begins with it. Where a document begins inside a window:
 * - documents kept apart: the program sees to it, and hands on the state of the last document;
 * - documents joined: the window is one text, as it is without a state. It hands nothing on, so that no more than a window
 *   is ever joined.
 */
import { sizeOf } from "../base/shape.ts";
import type { LaneRow } from "../data/lanes.ts";
import { newKey } from "../nn/decoding.ts";
import { type CarriedState, startNames } from "../nn/past.ts";
import { fillAngles, frequencies } from "../nn/positions.ts";
import type { HostArraysByName } from "../runtime/engine.ts";
import { type Communicator, gatherNumbers } from "./communicator.ts";
import type { FloatArrays } from "./optimizer.ts";

/** What changes: in training a part of its state, and of a checkpoint. */
export interface LaneStates {
  /** By `state.LAYER.NAME`, [corpora * lanes, …]. */
  readonly arrays: FloatArrays;
  /** [corpora * lanes]: tokens that the state of each has read; the position of its next window. */
  readonly positions: number[];
}

export interface CarryOptions {
  readonly carried: CarriedState;
  /** The token at which a document begins. */
  readonly endOfText: number;
  /** Whether documents of a window are kept apart. */
  readonly separate: boolean;
  /** Lanes of each corpus. */
  readonly lanes: number;
}

/** Lanes that have read nothing. */
export function emptyLanes({ entries }: CarriedState, lanes: number): LaneStates {
  const arrays = [...entries].map(([key, { shape, initial }]) => {
    return [key, new Float32Array(lanes * sizeOf(shape)).fill(initial)] as const;
  });
  return { arrays: Object.fromEntries(arrays), positions: new Array<number>(lanes).fill(0) };
}

/**
 * Brings the states of lanes up to date on every rank: each has those of its share of `step` examples, of which each has a
 * lane. Lanes of a corpus are numbered as the examples of one step or several.
 */
export async function gatherLanes(
  communicator: Communicator,
  { arrays, positions }: LaneStates,
  step: number,
): Promise<void> {
  const { rank, size } = communicator;
  if (size === 1) return;
  const ownerOf = (lane: number) => Math.floor(((lane % step) * size) / step);
  const lanesOf = (rank: number) => [...positions.keys()].filter((lane) => ownerOf(lane) === rank);
  const own = lanesOf(rank);
  const places = await gatherNumbers(
    communicator,
    own.map((lane) => positions[lane]),
    { what: "the places of the lanes" },
  );
  for (const [from, numbers] of places.entries()) {
    for (const [i, lane] of lanesOf(from).entries()) positions[lane] = numbers[i];
  }
  for (const [key, all] of Object.entries(arrays)) {
    const length = all.length / positions.length;
    const packed = new Float32Array(own.length * length);
    for (const [i, lane] of own.entries()) packed.set(all.subarray(lane * length, (lane + 1) * length), i * length);
    const parts = await communicator.gather(new Uint8Array(packed.buffer), { what: `${key} of the lanes` });
    for (const [from, bytes] of parts.entries()) {
      const states = new Float32Array(bytes.slice().buffer);
      for (const [i, lane] of lanesOf(from).entries()) {
        all.set(states.subarray(i * length, (i + 1) * length), lane * length);
      }
    }
  }
}

/** Rows of a batch, and the windows that they hold, [rows, context]. */
interface Windows {
  readonly rows: readonly LaneRow[];
  readonly tokens: Int32Array;
}

export class CarriedLanes {
  readonly states: LaneStates;
  readonly #options: CarryOptions;
  readonly #angles: readonly (readonly [name: string, frequencies: Float64Array])[];

  constructor(options: CarryOptions, states: LaneStates) {
    this.states = states;
    this.#options = options;
    const { rotaryPairs, width } = options.carried;
    this.#angles = [rotaryPairs, width / 2].map((half, i) => [startNames[i], frequencies(half)]);
  }

  /** Of each corpus. */
  get count(): number {
    return this.#options.lanes;
  }

  /** What a program is given of the past of these windows. Lanes that begin anew with them forget what they have read. */
  begin({ rows, tokens }: Windows): HostArraysByName {
    const context = tokens.length / rows.length;
    for (const [row, { begins, ...from }] of rows.entries()) {
      if (begins || tokens[row * context] === this.#options.endOfText) this.#forget(this.#laneOf(from));
    }
    const past: Record<string, Float32Array> = {};
    for (const [key, all] of Object.entries(this.states.arrays)) {
      const size = this.#sizeOf(all);
      past[key] = new Float32Array(rows.length * size);
      for (const [row, from] of rows.entries()) past[key].set(this.#of(all, this.#laneOf(from)), row * size);
    }
    for (const [name, frequencies] of this.#angles) {
      const [cos, sin] = [0, 1].map(() => new Float32Array(rows.length * frequencies.length));
      for (const [at, from] of rows.entries()) {
        const start = this.states.positions[this.#laneOf(from)];
        fillAngles({ cos, sin }, { frequencies, start, count: 1, at });
      }
      Object.assign(past, { [`${name}.cos`]: cos, [`${name}.sin`]: sin });
    }
    return past;
  }

  /**
   * Takes the states [rows, …] after windows that were begun, by `state.LAYER.NAME`; undefined after a step that was
   * skipped: they stay as they were.
   */
  end({ rows, tokens }: Windows, after: FloatArrays | undefined): void {
    const context = tokens.length / rows.length;
    for (const [row, from] of rows.entries()) {
      const lane = this.#laneOf(from);
      const last = tokens.subarray(row * context, (row + 1) * context).lastIndexOf(this.#options.endOfText);
      const beginsInside = last > 0;
      if (beginsInside && (after === undefined || !this.#options.separate)) this.#forget(lane);
      else if (after !== undefined) {
        for (const [key, states] of Object.entries(after)) {
          const own = this.#of(this.states.arrays[key], lane);
          own.set(states.subarray(row * own.length, (row + 1) * own.length));
        }
        this.states.positions[lane] = beginsInside ? context - last : this.states.positions[lane] + context;
      }
    }
  }

  #laneOf({ corpus, lane }: Pick<LaneRow, "corpus" | "lane">): number {
    return corpus * this.#options.lanes + lane;
  }

  #forget(lane: number): void {
    this.states.positions[lane] = 0;
    for (const [key, { initial }] of this.#options.carried.entries) {
      this.#of(this.states.arrays[key], lane).fill(initial);
    }
  }

  #sizeOf(all: Float32Array): number {
    return all.length / this.states.positions.length;
  }

  #of(all: Float32Array, lane: number): Float32Array {
    return all.subarray(lane * this.#sizeOf(all), (lane + 1) * this.#sizeOf(all));
  }
}

/**
 * The states among the results of a program, by `state.LAYER.NAME`: its own arrays, which its next run overwrites. Without
 * its distant half a model hands on less.
 */
export function statesAfter(results: HostArraysByName, { entries }: CarriedState): FloatArrays {
  const handedOn = [...entries.keys()].filter((key) => newKey(key) in results);
  return Object.fromEntries(handedOn.map((key) => [key, results[newKey(key)] as Float32Array]));
}

/** Of these values those that a program reads. */
export function readBy<Value>(
  inputs: ReadonlyMap<string, unknown>,
  values: Readonly<Record<string, Value>> = {},
): Readonly<Record<string, Value>> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => inputs.has(name)));
}
