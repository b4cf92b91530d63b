/**
 * The state of decoding FLASH and FLASH-Quad, and how tokens advance it. All arrays have a fixed size, whatever the position
 * (gated-layer-state.ts). Programs read them in place and return new rows only, which are stored here: a step copies a few
 * kilobytes. Angles come from float64, exact at any position.
 */
import type { Program } from "../graph/program.ts";
import type { Advance, Advanced, CompileOnce, DecodingState, HostArrays, Readout } from "../nn/decoding.ts";
import { angles, hostBiasByDistance, ROTARY_BIAS_FROM } from "../nn/positions.ts";
import { resultOf, TokenInputs, tileSize } from "./decoding-tokens.ts";
import {
  arraysOf,
  type DecodingShape,
  type LayerState,
  newLayerState,
  resetLayer,
  storeRows,
} from "./gated-layer-state.ts";

export interface DecodingPrograms {
  /** `tokens` new tokens after the open span. */
  tile(tokens: number, readout: Readout): Program;
  /** `chunks` whole chunks from a chunk border on; where it is missing, they are taken as tiles. */
  readonly block?: ((chunks: number, readout: Readout) => Program) | undefined;
  /** The sum of finished chunks of one layer, with the chunk that has become full. */
  fold(): Program;
}

interface Pass {
  readonly inputs: Readonly<Record<string, Float32Array>>;
  readonly tokens: TokenInputs;
  run(): Promise<HostArrays>;
}

/** Tokens a block at most, and bytes of its logits when all are wanted. */
const BLOCK_TOKENS = 1024;
const LOGITS_BYTES = 64 << 20;
const HIDDEN = -1e30;

export class GatedUnitState implements DecodingState {
  readonly bytes: number;
  #position = 0;
  readonly #shape: DecodingShape;
  readonly #programs: DecodingPrograms;
  readonly #compile: CompileOnce;
  readonly #parameters: HostArrays;
  readonly #layers: readonly LayerState[];
  readonly #passes = new Map<string, Pass>();
  #folds: readonly (() => Promise<HostArrays>)[] | undefined;
  /** Each layer's bias at distances 0 … n - 1. */
  #biases: readonly Float32Array[] = [];

  constructor(shape: DecodingShape, programs: DecodingPrograms, compile: CompileOnce, parameters: HostArrays) {
    this.#shape = shape;
    this.#programs = programs;
    this.#compile = compile;
    this.#parameters = parameters;
    this.#layers = Array.from({ length: shape.layers }, () => newLayerState(shape));
    this.bytes = this.#layers.flatMap(arraysOf).reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.#readBiases();
  }

  get position(): number {
    return this.#position;
  }

  reset(): void {
    this.#position = 0;
    for (const layer of this.#layers) resetLayer(layer);
    this.#passes.clear(); // they hold biases
    this.#readBiases();
  }

  clone(): DecodingState {
    const copy = new GatedUnitState(this.#shape, this.#programs, this.#compile, this.#parameters);
    copy.#position = this.#position;
    for (const [i, layer] of this.#layers.entries()) {
      const into = arraysOf(copy.#layers[i]);
      for (const [k, array] of arraysOf(layer).entries()) into[k].set(array);
    }
    return copy;
  }

  async advance(request: Advance): Promise<Advanced> {
    const { span, chunked } = this.#shape;
    const { block } = this.#programs;
    const open = chunked ? this.#position % span : this.#position;
    if (block && open === 0 && request.tokens.length >= span) return this.#block(request, block);
    return this.#tile(request, open, Math.min(span - open, request.tokens.length));
  }

  async #tile(request: Advance, open: number, wanted: number): Promise<Advanced> {
    const { span, quadratic, distant } = this.#shape;
    const P = tileSize(span, wanted);
    const count = Math.min(P, wanted);
    const pass = await this.#pass("tile", P, request.readout, () => this.#programs.tile(P, request.readout));
    this.#fill(pass, request, count, P);
    if (quadratic) this.#fillSpan(pass.inputs, open, P);
    const { rows, result } = (await pass.run()) as Record<string, Float32Array>;
    this.#store(rows, open, count, P);
    this.#position += count;
    if (distant && open + count === span) await this.#fold();
    return { count, result: resultOf(result, request.readout, count, this.#shape.vocabSize) };
  }

  async #block(request: Advance, block: NonNullable<DecodingPrograms["block"]>): Promise<Advanced> {
    const { span, vocabSize } = this.#shape;
    const limit =
      request.readout === "all" ? Math.min(BLOCK_TOKENS, Math.floor(LOGITS_BYTES / 4 / vocabSize)) : BLOCK_TOKENS;
    const most = Math.max(1, Math.floor(Math.min(limit, request.tokens.length) / span));
    const chunks = 2 ** Math.floor(Math.log2(most)); // few different programs
    const count = chunks * span;
    const pass = await this.#pass("block", count, request.readout, () => block(chunks, request.readout));
    this.#fill(pass, request, count, count);
    const results = (await pass.run()) as Record<string, Float32Array>;
    for (const [i, { done }] of this.#layers.entries()) done.set(results[`new.done.${i}`]);
    this.#position += count;
    return { count, result: resultOf(results.result, request.readout, count, vocabSize) };
  }

  /** Closes the full chunk: done += lkᵀ v in every layer. */
  async #fold(): Promise<void> {
    if (this.#folds === undefined) {
      const bind = await this.#compile("fold", () => this.#programs.fold());
      this.#folds = this.#layers.map(({ linearKeys, values, done }) => bind({ linear_keys: linearKeys, values, done }));
    }
    for (const [i, fold] of this.#folds.entries()) {
      const { sum } = await fold();
      this.#layers[i].done.set(sum);
    }
  }

  /** The program of this kind and size, compiled at first use and bound to arrays of this state. */
  async #pass(kind: "tile" | "block", P: number, readout: Readout, build: () => Program): Promise<Pass> {
    const { span, shared: s, width: d, layers, quadratic, tokenShift, scales } = this.#shape;
    const key = `${kind} ${P} ${readout}`;
    const found = this.#passes.get(key);
    if (found) return found;
    const rotations = kind === "block" ? (P * s) / 2 : scales.length * P * s;
    const inputs: Record<string, Float32Array> = {
      "rotation.cos": new Float32Array(rotations),
      "rotation.sin": new Float32Array(rotations),
    };
    if (kind === "tile" && quadratic) {
      inputs.written = new Float32Array(span);
      inputs.bias = new Float32Array(layers * (P + span - 1));
      inputs.own_bias = new Float32Array(layers * (2 * P - 1)).fill(HIDDEN);
      for (const [i, bias] of this.#biases.entries()) {
        for (let distance = 0; distance < P; distance++) {
          inputs.own_bias[i * (2 * P - 1) + P - 1 - distance] = bias[distance];
        }
      }
    }
    for (const [i, { keys, memory, done, before }] of this.#layers.entries()) {
      if (kind === "block") inputs[`done.${i}`] = done;
      else {
        inputs[`memory.${i}`] = memory;
        if (quadratic) inputs[`keys.${i}`] = keys;
        if (tokenShift) inputs[`before.${i}`] = before;
      }
    }
    const tokens = new TokenInputs(P, d, readout);
    const bind = await this.#compile(key, build);
    const pass = { inputs, tokens, run: bind({ ...inputs, ...tokens.arrays }) };
    this.#passes.set(key, pass);
    return pass;
  }

  /** What every pass is given: tokens and the angles of their positions. */
  #fill({ inputs, tokens }: Pass, request: Advance, count: number, P: number): void {
    const { shared: s } = this.#shape;
    tokens.fill(request, count, this.#position);
    const { cos, sin } = angles(this.#position, P, s / 2);
    if (inputs["rotation.cos"].length === cos.length) {
      inputs["rotation.cos"].set(cos);
      inputs["rotation.sin"].set(sin);
    } else this.#fillHeads(inputs, cos, sin, P);
  }

  /** [H P, s] from [P, s / 2]: see HeadRotation. */
  #fillHeads(inputs: Pass["inputs"], cos: Float32Array, sin: Float32Array, P: number): void {
    const { shared: s, scales } = this.#shape;
    const half = s / 2;
    for (const [h, scale] of scales.entries()) {
      for (let p = 0; p < P; p++) {
        const to = (h * P + p) * s;
        for (let i = 0; i < half; i++) {
          const c = scale * cos[p * half + i];
          const d = scale * sin[p * half + i];
          inputs["rotation.cos"][to + i] = c;
          inputs["rotation.cos"][to + half + i] = c;
          inputs["rotation.sin"][to + i] = -d;
          inputs["rotation.sin"][to + half + i] = d;
        }
      }
    }
  }

  /** Which rows of the open span are written, and the bias between new token p and row j: distance open + p - j. */
  #fillSpan({ written, bias }: Pass["inputs"], open: number, P: number): void {
    const { span } = this.#shape;
    written.fill(HIDDEN).fill(0, 0, open);
    const width = P + span - 1;
    const from = Math.max(0, open + P - span); // distance open + P - 1 - m below n
    const to = Math.min(width, open + P); // and not negative
    for (const [i, byDistance] of this.#biases.entries()) {
      const row = i * width;
      for (let m = from; m < to; m++) bias[row + m] = byDistance[open + P - 1 - m];
    }
  }

  #store(rows: Float32Array, open: number, count: number, P: number): void {
    const width = rows.length / (this.#layers.length * P);
    for (const [i, layer] of this.#layers.entries()) {
      storeRows(layer, this.#shape, rows, { from: i * P * width, open, count, width });
    }
  }

  #readBiases(): void {
    const { span, shared, quadratic } = this.#shape;
    if (!quadratic) return;
    const table = span < ROTARY_BIAS_FROM ? angles(0, 0, 1) : angles(0, span, shared / 2);
    this.#biases = this.#layers.map((_, i) => {
      const value = (name: string) => this.#parameters[`layers.${i}.bias.${name}`] as Float32Array;
      const values = span < ROTARY_BIAS_FROM ? { weight: value("weight") } : { a: value("a"), b: value("b") };
      return hostBiasByDistance(values, span, table);
    });
  }
}
