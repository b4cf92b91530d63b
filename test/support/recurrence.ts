/**
 * The recurrent form of a layer against its training form: a small reader of texts that keeps a layer's state as
 * StateChange says, for several texts at different positions, by the float64 interpreter.
 */
import { sizeOf } from "../../src/base/shape.ts";
import { type Program, program } from "../../src/graph/program.ts";
import { input } from "../../src/graph/tensor.ts";
import type { Layer, Recurrence, StateEntry, Tensors } from "../../src/nn/layer.ts";
import { NewTokens } from "../../src/nn/new-tokens.ts";
import { angles, angleTable } from "../../src/nn/positions.ts";
import { Scope } from "../../src/nn/scope.ts";
import { Visibility } from "../../src/nn/visibility.ts";
import { interpret, type Result } from "../reference/interpreter.ts";
import { expectClose } from "./compare.ts";
import { joined, random, randomValues } from "./layer-case.ts";

type Values = Readonly<Record<string, ArrayLike<number>>>;

/** A layer under test. */
export interface RecurrentCase {
  readonly name: string;
  readonly layer: Layer;
  /** d */
  readonly width: number;
  /** Width of the vectors that RoPE turns; 0 where it turns none. */
  readonly rotaryWidth: number;
  readonly tolerance?: number;
}

/** What a reader has of one text. */
interface Text {
  position: number;
  open: number;
  closed: number;
  /** By name, of the shape [..., rows, width] or of a replaced entry. */
  readonly state: Record<string, Float64Array>;
}

/** Reads B texts through the recurrent form of a layer. */
export class RecurrentReader {
  readonly texts: readonly Text[];
  readonly #recurrence: Recurrence;
  readonly #case: RecurrentCase;
  readonly #parameters: Values;
  /** Rows that there is room for, by entry. */
  readonly #rows: Record<string, number> = {};
  readonly #programs = new Map<string, Program>();

  constructor(tested: RecurrentCase, parameters: Values, texts: number) {
    const { recurrence } = tested.layer;
    if (!recurrence) throw new Error(`${tested.name}: no recurrent form`);
    this.#case = tested;
    this.#recurrence = recurrence;
    this.#parameters = parameters;
    const entries = Object.entries(recurrence.state);
    for (const [name, { shape }] of entries) this.#rows[name] = shape[shape.length - 2];
    this.texts = Array.from({ length: texts }, () => ({
      ...{ position: 0, open: 0, closed: 0 },
      state: Object.fromEntries(
        entries.map(([name, { shape, initial }]) => [name, new Float64Array(sizeOf(shape)).fill(initial)]),
      ),
    }));
  }

  /** Tokens until the text's open span is full. */
  room(text: number): number {
    return this.#recurrence.span - this.texts[text].open;
  }

  get hasPrefill(): boolean {
    return this.#recurrence.prefill !== undefined;
  }

  /**
   * The results [counts[b], d] of the first counts[b] of P tokens of each text, x [B, P, d]. Where all are real the
   * program is not told which are.
   */
  step(x: Float64Array, P: number, counts: readonly number[]): readonly Float64Array[] {
    const { width: d } = this.#case;
    const B = this.texts.length;
    const padded = counts.some((count) => count !== P);
    for (const [b, count] of counts.entries()) this.#makeRoom(b, count);
    const graph = this.#once(`step ${P} ${padded}`, () => {
      const row = (name: string) => input(name, [B]);
      const tokens = new NewTokens({
        ...{ batch: [B], tokens: P, rotations: this.#rotations(P) },
        written: { "open-rows": row("open"), "token-rows": row("position"), "span-rows": row("closed") },
        count: padded ? row("count") : undefined,
      });
      const { y, state } = this.#recurrence.step(new Scope(), input("x", [B, P, d]), tokens, this.#state(B));
      return program("step", { y, ...renamed(state) });
    });
    const places = Object.fromEntries(
      (["open", "position", "closed"] as const).map((name) => [name, this.texts.map((text) => text[name])]),
    );
    const results = this.#run(graph, this.texts, { x, ...this.#angles(P), ...places, count: counts });
    for (const [b, count] of counts.entries()) {
      this.#store(b, results, count);
      const text = this.texts[b];
      text.open += count;
      text.position += count;
      if (text.open === this.#recurrence.span) this.#close(text);
    }
    return counts.map((count, b) => results.y.data.subarray(b * P * d, (b * P + count) * d));
  }

  /** The results [B, spans * span, d] of whole spans of all texts, each at the beginning of one. */
  prefill(x: Float64Array, spans: number): Float64Array {
    const { span, prefill } = this.#recurrence;
    const { width: d } = this.#case;
    const B = this.texts.length;
    const T = spans * span;
    for (const b of this.texts.keys()) this.#makeRoom(b, T, spans);
    const graph = this.#once(`prefill ${spans}`, () => {
      const inputs = { rotations: this.#rotations(T), visibility: new Visibility({ causal: true }) };
      const found = prefill?.(new Scope(), input("x", [B, T, d]), inputs, this.#state(B));
      if (!found) throw new Error(`${this.#case.name}: no prefill`);
      return program("prefill", { y: found.y, ...renamed(found.state) });
    });
    const results = this.#run(graph, this.texts, { x, ...this.#angles(T) });
    for (const [b, text] of this.texts.entries()) {
      if (text.open !== 0) throw new Error(`${this.#case.name}: prefill inside a span`);
      this.#store(b, results, T, spans);
      text.position += T;
      text.closed += spans;
    }
    return results.y.data;
  }

  #close(text: Text): void {
    const { close } = this.#recurrence;
    if (close) {
      this.#makeRoom(this.texts.indexOf(text), 0, 1);
      const graph = this.#once("close", () => program("close", renamed(close(new Scope(), this.#state(1)))));
      const results = this.#run(graph, [text], {});
      for (const [name, entry] of Object.entries(this.#recurrence.state)) {
        const found = results[`new.${name}`];
        if (!found) continue;
        if (entry.change === "replaced") text.state[name].set(found.data);
        else if (entry.change === "span-rows") this.#putRows(text, name, found.data, { first: text.closed, count: 1 });
        else throw new Error(`${name}: close gave rows of ${entry.change}`);
      }
    }
    text.open = 0;
    text.closed++;
  }

  /** Takes what a step or a prefill (with its closed spans) found of text b. */
  #store(b: number, results: Readonly<Record<string, Result>>, count: number, spans?: number): void {
    const text = this.texts[b];
    for (const [name, { change }] of Object.entries(this.#recurrence.state)) {
      const found = results[`new.${name}`];
      if (!found) continue;
      const size = found.data.length / this.texts.length;
      const data = found.data.subarray(b * size, (b + 1) * size);
      if (change === "replaced") {
        const changed = data.some((value, i) => value !== text.state[name][i]);
        if (count === 0 && changed) throw new Error(`${name}: changed by a step without tokens`);
        text.state[name].set(data);
      } else if (change === "span-rows") {
        if (spans === undefined) throw new Error(`${name}: a step gave rows of spans`);
        this.#putRows(text, name, data, { first: text.closed, count: spans });
      } else if (!(change === "open-rows" && spans !== undefined)) {
        this.#putRows(text, name, data, { first: change === "open-rows" ? text.open : text.position, count });
      }
    }
  }

  /** The first `count` of the new rows [..., P, width] become rows `first` … of an entry. */
  #putRows(text: Text, name: string, data: Float64Array, { first, count }: { first: number; count: number }): void {
    const { shape } = this.#recurrence.state[name];
    const width = shape[shape.length - 1];
    const rows = this.#rows[name];
    const outer = sizeOf(shape.slice(0, -2));
    const P = data.length / outer / width;
    if (first + count > rows) throw new Error(`${name}: expected room for ${first + count} rows, got ${rows}`);
    for (let o = 0; o < outer; o++) {
      const from = o * P * width;
      text.state[name].set(data.subarray(from, from + count * width), (o * rows + first) * width);
    }
  }

  /** Entries that grow with the text get twice as many rows where those of text b would not do. */
  #makeRoom(b: number, tokens: number, spans = 0): void {
    const { position, closed } = this.texts[b];
    for (const [name, { change, shape, initial }] of Object.entries(this.#recurrence.state)) {
      const needed = change === "token-rows" ? position + tokens : change === "span-rows" ? closed + spans : 0;
      const old = this.#rows[name];
      if (needed <= old) continue;
      const rows = Math.max(needed, 2 * old);
      const width = shape[shape.length - 1];
      for (const text of this.texts) {
        const larger = new Float64Array(sizeOf(shape.slice(0, -2)) * rows * width).fill(initial);
        for (let o = 0; o * old * width < text.state[name].length; o++) {
          larger.set(text.state[name].subarray(o * old * width, (o + 1) * old * width), o * rows * width);
        }
        text.state[name] = larger;
      }
      this.#rows[name] = rows;
      this.#programs.clear();
    }
  }

  #state(B: number): Tensors {
    const shapeOf = (name: string, { shape, change }: StateEntry) =>
      change === "replaced" ? shape : [...shape.slice(0, -2), this.#rows[name], shape[shape.length - 1]];
    return Object.fromEntries(
      Object.entries(this.#recurrence.state).map(([name, entry]) => [
        name,
        input(`state.${name}`, [B, ...shapeOf(name, entry)]),
      ]),
    );
  }

  #rotations(P: number) {
    const shape = [this.texts.length, P, this.#case.rotaryWidth / 2];
    return { cos: input("cos", shape), sin: input("sin", shape) };
  }

  #angles(P: number): Values {
    const each = this.texts.map(({ position }) => angles(position, P, this.#case.rotaryWidth / 2));
    return { cos: each.flatMap(({ cos }) => [...cos]), sin: each.flatMap(({ sin }) => [...sin]) };
  }

  #run(graph: Program, texts: readonly Text[], values: Values): Record<string, Result> {
    const all: Record<string, ArrayLike<number>> = { ...this.#parameters, ...values };
    for (const name of Object.keys(this.#recurrence.state)) {
      all[`state.${name}`] = joined(texts.map(({ state }) => state[name]));
    }
    return interpret(graph, Object.fromEntries(Object.entries(all).filter(([name]) => graph.inputs.has(name))));
  }

  #once(key: string, make: () => Program): Program {
    const found = this.#programs.get(key) ?? make();
    this.#programs.set(key, found);
    return found;
  }
}

function renamed(tensors: Tensors): Tensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`new.${name}`, tensor]));
}

/**
 * Ways to read: P of the steps, how many tokens of it text b takes at its call number i, and whether spans are
 * prefilled.
 */
const ways: Readonly<
  Record<string, { readonly tile: number; count(b: number, i: number): number; readonly prefill: boolean }>
> = {
  "token by token": { tile: 1, count: () => 1, prefill: false },
  "in tiles, texts at different positions": { tile: 5, count: (b, i) => (3 * b + 2 * i + b * i) % 6, prefill: false },
  "in prefilled spans and tiles": { tile: 3, count: () => 3, prefill: true },
  "in prefilled spans, then at different positions": { tile: 4, count: (b, i) => (b + i) % 5, prefill: true },
};

/**
 * Demands of the recurrent form what the training form finds: for texts of T tokens read in every way, their results in
 * all places within the tolerance (default 1e-9).
 */
export function expectRecurrentEqualsForward(tested: RecurrentCase, T: number): void {
  const { name, layer, width: d, rotaryWidth, tolerance = 1e-9 } = tested;
  const B = 3;
  const scope = new Scope();
  const x = input("x", [B, T, d]);
  const inputs = { rotations: angleTable(T, rotaryWidth), visibility: new Visibility({ causal: true }) };
  const graph = program("forward", { y: layer.forward(scope, x, inputs) });
  const { x: given, ...parameters } = randomValues(scope, x, 0.3);
  const expected = interpret(graph, { x: given, ...parameters }).y.data;
  for (const [way, { tile, count, prefill }] of Object.entries(ways)) {
    const reader = new RecurrentReader(tested, parameters, B);
    const y = new Float64Array(B * T * d);
    const span = layer.recurrence?.span ?? 0;
    if (prefill) {
      const spans = Math.floor(T / span);
      if (!reader.hasPrefill || spans === 0) continue;
      for (const [first, some] of spans > 2 ? [[0, 2] as const, [2, spans - 2] as const] : [[0, spans] as const]) {
        const rows = (b: number) => [(b * T + first * span) * d, (b * T + (first + some) * span) * d] as const;
        const part = [0, 1, 2].flatMap((b) => [...given.subarray(...rows(b))]);
        const found = reader.prefill(Float64Array.from(part), some);
        for (let b = 0; b < B; b++) {
          y.set(found.subarray(b * some * span * d, (b + 1) * some * span * d), rows(b)[0]);
        }
      }
    }
    for (let i = 0; reader.texts.some(({ position }) => position < T); i++) {
      const counts = reader.texts.map(({ position }, b) => Math.min(count(b, i), T - position, reader.room(b), tile));
      const part = Float64Array.from(random(`padding ${i}`, T, B * tile * d, 1));
      const starts = reader.texts.map(({ position }, b) => (b * T + position) * d);
      for (let b = 0; b < B; b++) part.set(given.subarray(starts[b], starts[b] + counts[b] * d), b * tile * d);
      for (const [b, rows] of reader.step(part, tile, counts).entries()) y.set(rows, starts[b]);
    }
    expectClose(y, expected, { name: `${name}, ${T} tokens ${way}`, tolerance, shape: [B, T, d] });
  }
}
