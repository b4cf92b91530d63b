/**
 * What a position of a text attends to, layer by layer: the weights of the exact attention, and how much it and the
 * distant half add. From the model's own graph, whose layers are asked to show what they see (nn/layer.ts). A model
 * that goes on from window to window reads the text chunk by chunk, and the chunk of the position last; others read
 * all of it at once.
 */
import { LonghandError } from "../base/errors.ts";
import { sizeOf } from "../base/shape.ts";
import { type Program, program } from "../graph/program.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import type { ModelConfig } from "../models/architecture.ts";
import { carriedState } from "../models/carry.ts";
import { languageModel } from "../models/language-model.ts";
import { architectureOf } from "../models/registry.ts";
import { newKey } from "../nn/decoding.ts";
import type { AttentionSeen } from "../nn/layer.ts";
import { type CarriedState, pastInputs } from "../nn/past.ts";
import { Scope } from "../nn/scope.ts";
import type { CompiledFunction, HostArraysByName } from "../runtime/engine.ts";
import { CarriedLanes, emptyLanes, type LaneStates, readBy, statesAfter } from "../train/carried.ts";
import type { LoadedModel } from "./loaded-model.ts";

export interface AttentionAt {
  /** Index of the first token that the exact attention can see. */
  readonly start: number;
  /** Tokens of a chunk; null where the exact attention sees the whole text. */
  readonly chunk: number | null;
  readonly layers: readonly LayerAttention[];
}

export interface LayerAttention {
  /** By head, the weights of the tokens from `start` up to the position; none of a layer without exact attention. */
  readonly heads: readonly Float32Array[];
  /** Euclidean norms of what either half adds to the result of the attention; null: there is no distant half. */
  readonly localNorm: number;
  readonly distantNorm: number | null;
}

/** Attention to a whole text takes memory that grows with the square of this. */
const MOST_TOKENS = 2048;
const FEWEST_TOKENS = 64;
/** Bytes of the states at the beginnings of chunks that are kept, of one text. */
const STATE_BYTES = 64e6;

/** A program over a window of T tokens, with the position in it as an input. */
interface Observed {
  readonly program: Program;
  /** By layer, which outputs it has. */
  readonly shown: readonly { readonly heads: number; readonly local: boolean; readonly distant: boolean }[];
}

/**
 * Whether a model has exact weights that can be shown: not Performer and Combiner, nor a model that reads both sides.
 */
export function showsAttention(config: ModelConfig): boolean {
  if (!config.causal) return false;
  const carried = carriedState(config);
  return observed(config, carried, carried?.span ?? FEWEST_TOKENS).shown.some(({ heads }) => heads > 0);
}

/** What is needed of a loaded model. */
type Viewed = Pick<LoadedModel, "path" | "engine" | "parameters"> & {
  readonly config: Pick<LoadedModel["config"], "model">;
};

export class AttentionViewer {
  readonly #model: Viewed;
  readonly #carried: CarriedState | undefined;
  readonly #compiled = new Map<number, Observed & { readonly run: CompiledFunction }>();
  /** Of the text that was looked at last, the states at the beginnings of its chunks. */
  #text = new Int32Array();
  readonly #states = new Map<number, LaneStates>();

  /** Throws "usage" for a model of which nothing can be shown. */
  constructor(model: Viewed) {
    const { config, path } = model;
    if (!showsAttention(config.model))
      throw new LonghandError("usage", `${path}: ${config.model.architecture} has no attention weights to show`);
    this.#model = model;
    this.#carried = carriedState(config.model);
  }

  /**
   * Of the token at a position of a text. Calls must follow one another. Throws "usage" for a position that is too
   * far.
   */
  async at(tokens: Int32Array, position: number): Promise<AttentionAt> {
    if (!(Number.isInteger(position) && position >= 0 && position < tokens.length))
      throw new LonghandError("usage", `position: expected one from 0 to ${tokens.length - 1}, got ${position}`);
    return this.#carried ? this.#byChunks(this.#carried, tokens, position) : this.#whole(tokens, position);
  }

  async #byChunks(carried: CarriedState, tokens: Int32Array, position: number): Promise<AttentionAt> {
    const C = carried.span;
    const last = Math.floor(position / C);
    this.#forgetOther(tokens, C);
    const options = { carried, endOfText: -1, separate: false, lanes: 1 }; // the decoder forgets at no token either
    let chunk = Math.max(0, ...[...this.#states.keys()].filter((known) => known <= last));
    let states = this.#states.get(chunk) ?? emptyLanes(carried, 1);
    for (; ; chunk++) {
      const window = windowOf(tokens.subarray(chunk * C), C);
      const lanes = new CarriedLanes(options, copyOf(states));
      const windows = { rows: [{ corpus: 0, lane: 0, begins: false }], tokens: window };
      const results = await this.#run(C, { ...lanes.begin(windows), ...rowInputs(window, position % C) });
      if (chunk === last) return { start: chunk * C, chunk: C, layers: this.#layers(C, results, position % C) };
      lanes.end(windows, statesAfter(results, carried));
      states = lanes.states;
      this.#remember(chunk + 1, states);
    }
  }

  async #whole(tokens: Int32Array, position: number): Promise<AttentionAt> {
    if (position >= MOST_TOKENS) {
      const reason = `expected one below ${MOST_TOKENS} for a model whose tokens see the whole text`;
      throw new LonghandError("usage", `position ${position}: ${reason}`);
    }
    const { model } = this.#model.config;
    const most = architectureOf(model).maxLength(model);
    const T = Math.min(most, 2 ** Math.ceil(Math.log2(Math.max(FEWEST_TOKENS, position + 1))));
    const results = await this.#run(T, rowInputs(windowOf(tokens, T), position));
    return { start: 0, chunk: null, layers: this.#layers(T, results, position) };
  }

  async #run(T: number, given: HostArraysByName): Promise<HostArraysByName> {
    const { config, engine, parameters } = this.#model;
    let compiled = this.#compiled.get(T);
    if (compiled === undefined) {
      const own = observed(config.model, this.#carried, T);
      compiled = { ...own, run: await engine.compile(own.program) };
      this.#compiled.set(T, compiled);
    }
    const arrays = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
    return compiled.run.run(readBy(compiled.program.inputs, { ...arrays, ...given }));
  }

  #layers(T: number, results: HostArraysByName, row: number): LayerAttention[] {
    const shown = this.#compiled.get(T)?.shown ?? [];
    return shown.map(({ heads, local, distant }, i) => {
      const weights = results[`weights.${i}`] as Float32Array | undefined; // [H, N]
      const N = weights === undefined ? 0 : weights.length / heads;
      return {
        heads: Array.from({ length: heads }, (_, h) => (weights as Float32Array).slice(h * N, h * N + row + 1)),
        localNorm: local ? normOf(results[`local.${i}`] as Float32Array) : 0,
        distantNorm: distant ? normOf(results[`distant.${i}`] as Float32Array) : null,
      };
    });
  }

  /** Keeps what was remembered of the part that this text begins with as well. */
  #forgetOther(tokens: Int32Array, C: number): void {
    let common = 0;
    while (common < Math.min(tokens.length, this.#text.length) && tokens[common] === this.#text[common]) common++;
    for (const chunk of this.#states.keys()) if (chunk * C > common) this.#states.delete(chunk);
    this.#text = tokens.slice();
  }

  #remember(chunk: number, states: LaneStates): void {
    const bytes = Object.values(states.arrays).reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (this.#states.size * bytes > STATE_BYTES) this.#states.delete([...this.#states.keys()][0]);
    this.#states.set(chunk, states);
  }
}

function observed(config: ModelConfig, carried: CarriedState | undefined, T: number): Observed {
  const row = input("row", [1], "int32");
  const outputs: Record<string, Tensor> = {};
  const shown: Observed["shown"][number][] = Array.from({ length: config.layers }, () => NOTHING);
  const observe = (layer: number, { weights, local, distant }: AttentionSeen) => {
    for (const [name, tensor] of Object.entries({ weights, local, distant })) {
      if (tensor) outputs[`${name}.${layer}`] = rowOf(tensor, row);
    }
    const heads = weights ? headsOf(weights) : 0;
    shown[layer] = { heads, local: local !== undefined, distant: distant !== undefined };
  };
  const past = carried && pastInputs(carried, 1);
  const tokens = input("tokens", [1, T], "int32");
  const { state = {} } = languageModel(new Scope(), tokens, config, { ...(past && { past }), observe });
  for (const [key, after] of Object.entries(state)) outputs[newKey(key)] = after;
  return { program: program("attention", outputs), shown };
}

const NOTHING = { heads: 0, local: false, distant: false } as const;

/** Heads, where there is one text and one chunk. */
function headsOf({ shape }: Tensor): number {
  return sizeOf(shape.slice(0, -2));
}

/** The row of each head, [H, w], of [..., R, w]. */
function rowOf(t: Tensor, row: Tensor): Tensor {
  const [R, w] = t.shape.slice(-2);
  const H = headsOf(t);
  return t
    .reshape([H, R, w])
    .transpose([1, 0, 2])
    .reshape([R, H * w])
    .gather(row);
}

const rowInputs = (tokens: Int32Array, row: number) => ({ tokens, row: Int32Array.of(row) });

/** The first T tokens, and zeros where there are fewer: no token sees those after it. */
function windowOf(tokens: Int32Array, T: number): Int32Array {
  const window = new Int32Array(T);
  window.set(tokens.subarray(0, T));
  return window;
}

function copyOf({ arrays, positions }: LaneStates): LaneStates {
  const copies = Object.entries(arrays).map(([key, values]) => [key, values.slice()] as const);
  return { arrays: Object.fromEntries(copies), positions: [...positions] };
}

function normOf(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}
