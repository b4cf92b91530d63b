/**
 * The state of decoding FLASH and FLASH-Quad, and how tokens advance it. All arrays have a fixed size: for each layer the
 * keys and values of the open span (the current chunk; for FLASH-Quad the whole text) and, for FLASH, the sum of lkᵀ v
 * over all finished chunks. Programs read the arrays in place and return new rows only, which are stored here: a step
 * copies a few kilobytes whatever the position. Angles come from float64, exact at any position.
 */
import type { Program } from "../graph/program.ts";
import type { Advance, Advanced, CompileOnce, DecodingState, HostArrays, Readout } from "../nn/decoding.ts";
import { angles, biasByDistance, ROTARY_BIAS_FROM } from "../nn/positions.ts";
import { resultOf, TokenInputs, tileSize } from "./decoding-tokens.ts";

/** The sizes of a decoding state. */
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
  /** Whether sums of finished chunks follow: FLASH. */
  readonly distant: boolean;
}

export interface DecodingPrograms {
  /** `tokens` new tokens after the open span. */
  tile(tokens: number, readout: Readout): Program;
  /** `chunks` whole chunks from a chunk border on. */
  block(chunks: number, readout: Readout): Program;
  /** The sum of finished chunks of one layer, with the chunk that has become full. */
  fold(): Program;
}

interface Layer {
  /** [n, s] */
  readonly keys: Float32Array;
  /** [n, s]: linear keys of the current chunk, read when it is folded. */
  readonly linearKeys: Float32Array;
  /** [n + s, e], the sum of finished chunks after the values; [n, e] for FLASH-Quad. */
  readonly memory: Float32Array;
  /** The values and the sum: views of `memory`. */
  readonly values: Float32Array;
  readonly done: Float32Array;
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
  readonly #layers: readonly Layer[];
  readonly #passes = new Map<string, Pass>();
  #folds: readonly (() => Promise<HostArrays>)[] | undefined;
  /** Each layer's bias at distances 0 … n - 1. */
  #biases: readonly Float32Array[] = [];

  constructor(shape: DecodingShape, programs: DecodingPrograms, compile: CompileOnce, parameters: HostArrays) {
    this.#shape = shape;
    this.#programs = programs;
    this.#compile = compile;
    this.#parameters = parameters;
    this.#layers = Array.from({ length: shape.layers }, () => newLayer(shape));
    const sizeOf = ({ keys, linearKeys, memory }: Layer) => keys.length + linearKeys.length + memory.length;
    this.bytes = 4 * this.#layers.reduce((sum, layer) => sum + sizeOf(layer), 0);
    this.#readBiases();
  }

  get position(): number {
    return this.#position;
  }

  reset(): void {
    this.#position = 0;
    for (const { memory } of this.#layers) memory.fill(0);
    this.#passes.clear(); // they hold biases
    this.#readBiases();
  }

  clone(): DecodingState {
    const copy = new GatedUnitState(this.#shape, this.#programs, this.#compile, this.#parameters);
    copy.#position = this.#position;
    for (const [i, { keys, linearKeys, memory }] of this.#layers.entries()) {
      copy.#layers[i].keys.set(keys);
      copy.#layers[i].linearKeys.set(linearKeys);
      copy.#layers[i].memory.set(memory);
    }
    return copy;
  }

  async advance(request: Advance): Promise<Advanced> {
    const { span, distant } = this.#shape;
    const open = distant ? this.#position % span : this.#position;
    if (distant && open === 0 && request.tokens.length >= span) return this.#block(request);
    return this.#tile(request, open, Math.min(span - open, request.tokens.length));
  }

  async #tile(request: Advance, open: number, wanted: number): Promise<Advanced> {
    const { span, distant } = this.#shape;
    const P = tileSize(span, wanted);
    const count = Math.min(P, wanted);
    const pass = await this.#pass("tile", P, request.readout);
    this.#fill(pass, request, count, P);
    this.#fillSpan(pass.inputs, open, P);
    const { rows, result } = (await pass.run()) as Record<string, Float32Array>;
    this.#store(rows, open, count, P);
    this.#position += count;
    if (distant && open + count === span) await this.#fold();
    return { count, result: resultOf(result, request.readout, count, this.#shape.vocabSize) };
  }

  async #block(request: Advance): Promise<Advanced> {
    const { span, vocabSize } = this.#shape;
    const limit =
      request.readout === "all" ? Math.min(BLOCK_TOKENS, Math.floor(LOGITS_BYTES / 4 / vocabSize)) : BLOCK_TOKENS;
    const most = Math.max(1, Math.floor(Math.min(limit, request.tokens.length) / span));
    const chunks = 2 ** Math.floor(Math.log2(most)); // few different programs
    const count = chunks * span;
    const pass = await this.#pass("block", count, request.readout);
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
  async #pass(kind: "tile" | "block", P: number, readout: Readout): Promise<Pass> {
    const { span, shared: s, width: d, layers, distant } = this.#shape;
    const key = `${kind} ${P} ${readout}`;
    const found = this.#passes.get(key);
    if (found) return found;
    const rotations = kind === "block" ? (P * s) / 2 : (distant ? 4 : 2) * P * s;
    const inputs: Record<string, Float32Array> = {
      "rotation.cos": new Float32Array(rotations),
      "rotation.sin": new Float32Array(rotations),
    };
    if (kind === "tile") {
      inputs.written = new Float32Array(span);
      inputs.bias = new Float32Array(layers * (P + span - 1));
      inputs.own_bias = new Float32Array(layers * (2 * P - 1)).fill(HIDDEN);
      for (const [i, bias] of this.#biases.entries()) {
        for (let distance = 0; distance < P; distance++) {
          inputs.own_bias[i * (2 * P - 1) + P - 1 - distance] = bias[distance];
        }
      }
    }
    for (const [i, { keys, memory, done }] of this.#layers.entries()) {
      if (kind === "block") inputs[`done.${i}`] = done;
      else {
        inputs[`keys.${i}`] = keys;
        inputs[`memory.${i}`] = memory;
      }
    }
    const tokens = new TokenInputs(P, d, readout);
    const chunks = P / span;
    const bind = await this.#compile(key, () =>
      kind === "block" ? this.#programs.block(chunks, readout) : this.#programs.tile(P, readout),
    );
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

  /** [H P, s] from [P, s / 2]: see HeadRotation. Even heads are queries. */
  #fillHeads(inputs: Pass["inputs"], cos: Float32Array, sin: Float32Array, P: number): void {
    const { shared: s, span } = this.#shape;
    const half = s / 2;
    const heads = inputs["rotation.cos"].length / (P * s);
    for (let h = 0; h < heads; h++) {
      const scale = h % 2 === 0 ? 1 / span : 1;
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
    const { shared: s, expanded: e, distant } = this.#shape;
    const width = (distant ? 2 * s : s) + e;
    for (const [i, layer] of this.#layers.entries()) {
      for (let p = 0; p < count; p++) {
        const from = (i * P + p) * width;
        const at = open + p;
        layer.keys.set(rows.subarray(from, from + s), at * s);
        if (distant) layer.linearKeys.set(rows.subarray(from + s, from + 2 * s), at * s);
        layer.values.set(rows.subarray(from + width - e, from + width), at * e);
      }
    }
  }

  #readBiases(): void {
    const { span, shared } = this.#shape;
    const table = span < ROTARY_BIAS_FROM ? angles(0, 0, 1) : angles(0, span, shared / 2);
    this.#biases = this.#layers.map((_, i) => {
      const value = (name: string) => this.#parameters[`layers.${i}.bias.${name}`] as Float32Array;
      const values = span < ROTARY_BIAS_FROM ? { weight: value("weight") } : { a: value("a"), b: value("b") };
      return biasByDistance(values, span, table);
    });
  }
}

function newLayer({ span: n, shared: s, expanded: e, distant }: DecodingShape): Layer {
  const memory = new Float32Array((distant ? n + s : n) * e);
  return {
    keys: new Float32Array(n * s),
    linearKeys: new Float32Array(distant ? n * s : 0),
    memory,
    values: memory.subarray(0, n * e),
    done: memory.subarray(n * e),
  };
}
