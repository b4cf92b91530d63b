/**
 * The state of decoding the Transformers, and how tokens advance it. For each layer there are rows (keys and values, in
 * arrays that are doubled when they are full, if they grow at all) and carried arrays of fixed size. A program is compiled
 * for each number of rows; it reads the arrays in place and returns new rows and new carried arrays, which are stored here.
 * Angles come from float64, exact at any position.
 */
import { type Shape, sizeOf } from "../base/shape.ts";
import type { Program } from "../graph/program.ts";
import type { Advance, Advanced, CompileOnce, DecodingState, HostArrays, Readout } from "../nn/decoding.ts";
import { angles } from "../nn/positions.ts";
import { resultOf, TokenInputs, tileSize } from "./decoding-tokens.ts";

/** What an architecture remembers, and its program. */
export interface TransformerDecoding {
  readonly layers: number;
  /** H */
  readonly heads: number;
  /** w */
  readonly headWidth: number;
  /** d */
  readonly width: number;
  readonly vocabSize: number;
  /** Whether the programs have inputs rotation.cos and rotation.sin [P, w / 2]. */
  readonly rotary: boolean;
  /** Tokens after which the open span is closed and begins anew; Infinity when it never is. */
  readonly span: number;
  /** Rows of an open span that is closed: they come first. */
  readonly fixedRows: number;
  /** Rows after them at the start; one is added for each finished span or, where none is ever closed, each token. */
  readonly growingRows: number;
  /** Arrays of a layer beside its rows, and the value they start with. A program returns those that it changes. */
  readonly carried: Readonly<Record<string, { readonly shape: Shape; readonly initial: number }>>;
  /**
   * P new tokens after `rows` rows of memory. Inputs beside parameters: what `embed` and `readOut` name; rotation.cos,
   * rotation.sin; real [P], where something is carried; where there are rows, written [rows] and for each layer keys.i and
   * values.i [1, H, rows, w]; NAME.i of what is carried. Outputs: the readout; rows [1, 2 L H, P, w], keys and values layer
   * by layer; new.NAME.i.
   */
  tile(P: number, rows: number, readout: Readout): Program;
  /** The open span of a layer is full: its rows are about to be written over. `finished` spans were closed before. */
  close?(layer: DecodingLayer, finished: number): void;
}

export interface DecodingLayer {
  /** [H, rows, w] */
  readonly keys: Float32Array;
  /** [H, rows, w] */
  readonly values: Float32Array;
  readonly carried: Readonly<Record<string, Float32Array>>;
  /** The carried array "done", where there is one, as it is added up: in float32 a long text would round it away. */
  readonly exact: Float64Array;
}

interface Pass {
  readonly inputs: Readonly<Record<string, Float32Array>>;
  readonly tokens: TokenInputs;
  run(): Promise<HostArrays>;
}

const HIDDEN = -1e30;

export class TransformerState implements DecodingState {
  #position = 0;
  readonly #model: TransformerDecoding;
  readonly #compile: CompileOnce;
  /** Rows that there is room for. */
  #rows: number;
  #layers: readonly DecodingLayer[];
  readonly #passes = new Map<string, Pass>();

  constructor(model: TransformerDecoding, compile: CompileOnce) {
    this.#model = model;
    this.#compile = compile;
    this.#rows = model.fixedRows + model.growingRows;
    this.#layers = Array.from({ length: model.layers }, () => newLayer(model, this.#rows));
  }

  get position(): number {
    return this.#position;
  }

  get bytes(): number {
    const sizes = this.#layers.flatMap(({ carried, ...arrays }) => [
      ...Object.values(arrays),
      ...Object.values(carried),
    ]);
    return sizes.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  reset(): void {
    const { fixedRows, growingRows, layers } = this.#model;
    this.#position = 0;
    this.#rows = fixedRows + growingRows;
    this.#layers = Array.from({ length: layers }, () => newLayer(this.#model, this.#rows));
    this.#passes.clear(); // they hold the arrays
  }

  clone(): DecodingState {
    const copy = new TransformerState(this.#model, this.#compile);
    copy.#position = this.#position;
    copy.#rows = this.#rows;
    copy.#layers = this.#layers.map(({ keys, values, carried, exact }) => ({
      keys: keys.slice(),
      values: values.slice(),
      exact: exact.slice(),
      carried: Object.fromEntries(Object.entries(carried).map(([name, data]) => [name, data.slice()])),
    }));
    return copy;
  }

  async advance(request: Advance): Promise<Advanced> {
    const { span, vocabSize, close } = this.#model;
    const open = span === Number.POSITIVE_INFINITY ? this.#position : this.#position % span;
    const wanted = Math.min(span - open, request.tokens.length);
    const P = tileSize(span, wanted);
    const count = Math.min(P, wanted);
    this.#makeRoom(this.#position + count);
    const pass = await this.#pass(P, request.readout);
    this.#fill(pass, request, { open, count, P });
    const results = (await pass.run()) as Record<string, Float32Array>;
    this.#store(results, { open, count, P });
    if (open + count === span) {
      for (const layer of this.#layers) close?.(layer, Math.floor(this.#position / span));
    }
    this.#position += count;
    return { count, result: resultOf(results.result, request.readout, count, vocabSize) };
  }

  /** Growing rows that are written when so many tokens have been taken. */
  #grownRows(position: number): number {
    const { span, growingRows } = this.#model;
    if (growingRows === 0) return 0;
    return span === Number.POSITIVE_INFINITY ? position : Math.floor(position / span);
  }

  /** Doubles the growing rows until those of so many tokens fit. */
  #makeRoom(position: number): void {
    const { fixedRows, heads, headWidth: w } = this.#model;
    const before = this.#rows;
    const needed = this.#grownRows(position);
    while (this.#rows - fixedRows < needed) this.#rows = fixedRows + 2 * (this.#rows - fixedRows);
    if (this.#rows === before) return;
    const grown = (data: Float32Array) => {
      const larger = new Float32Array(heads * this.#rows * w); // [H, rows, w]
      for (let h = 0; h < heads; h++) {
        larger.set(data.subarray(h * before * w, (h + 1) * before * w), h * this.#rows * w);
      }
      return larger;
    };
    this.#layers = this.#layers.map(({ keys, values, ...fixed }) => ({
      keys: grown(keys),
      values: grown(values),
      ...fixed,
    }));
    this.#passes.clear(); // they hold the arrays
  }

  /** The program of this size, compiled at first use and bound to arrays of this state. */
  async #pass(P: number, readout: Readout): Promise<Pass> {
    const { width, headWidth: w, rotary, carried } = this.#model;
    const rows = this.#rows;
    const key = `tile ${P} ${rows} ${readout}`;
    const found = this.#passes.get(key);
    if (found) return found;
    const inputs: Record<string, Float32Array> = {};
    if (rows > 0) inputs.written = new Float32Array(rows);
    if (Object.keys(carried).length > 0) inputs.real = new Float32Array(P);
    if (rotary) {
      inputs["rotation.cos"] = new Float32Array((P * w) / 2);
      inputs["rotation.sin"] = new Float32Array((P * w) / 2);
    }
    for (const [i, layer] of this.#layers.entries()) {
      for (const [name, data] of Object.entries(layer.carried)) inputs[`${name}.${i}`] = data;
      if (rows > 0) Object.assign(inputs, { [`keys.${i}`]: layer.keys, [`values.${i}`]: layer.values });
    }
    const tokens = new TokenInputs(P, width, readout);
    const bind = await this.#compile(key, () => this.#model.tile(P, rows, readout));
    const pass = { inputs, tokens, run: bind({ ...inputs, ...tokens.arrays }) };
    this.#passes.set(key, pass);
    return pass;
  }

  #fill({ inputs, tokens }: Pass, request: Advance, { open, count, P }: Tile): void {
    const { headWidth, fixedRows, rotary } = this.#model;
    tokens.fill(request, count, this.#position);
    if (rotary) {
      const { cos, sin } = angles(this.#position, P, headWidth / 2);
      inputs["rotation.cos"].set(cos);
      inputs["rotation.sin"].set(sin);
    }
    inputs.real?.fill(0).fill(1, 0, count);
    inputs.written
      ?.fill(HIDDEN)
      .fill(0, 0, Math.min(open, fixedRows))
      .fill(0, fixedRows, fixedRows + this.#grownRows(this.#position));
  }

  #store(results: Record<string, Float32Array>, { open, count, P }: Tile): void {
    const { heads: H, headWidth: w } = this.#model;
    const stored = results.rows; // [1, 2 L H, P, w]
    for (const [i, { keys, values, carried }] of this.#layers.entries()) {
      for (const [name, data] of Object.entries(carried)) {
        const changed = results[`new.${name}.${i}`];
        if (changed) data.set(changed);
      }
      if (stored === undefined) continue;
      for (let h = 0; h < H; h++) {
        const to = (h * this.#rows + open) * w;
        for (const [part, array] of [keys, values].entries()) {
          const from = ((2 * i + part) * H + h) * P * w;
          array.set(stored.subarray(from, from + count * w), to);
        }
      }
    }
  }
}

/** `count` tokens, padded to P, after `open` tokens of the open span. */
interface Tile {
  readonly open: number;
  readonly count: number;
  readonly P: number;
}

function newLayer({ heads, headWidth, carried }: TransformerDecoding, rows: number): DecodingLayer {
  return {
    keys: new Float32Array(heads * rows * headWidth),
    values: new Float32Array(heads * rows * headWidth),
    exact: new Float64Array(carried.done ? sizeOf(carried.done.shape) : 0),
    carried: Object.fromEntries(
      Object.entries(carried).map(([name, { shape, initial }]) => [
        name,
        new Float32Array(sizeOf(shape)).fill(initial),
      ]),
    ),
  };
}
