/**
 * Windows read one after the other, each from the state that the one before left, are one long window: for every memory of
 * FLASH and MC-TFM++, with documents joined and apart, which begin and end anywhere.
 */
import { describe, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { randomValues } from "../../test/support/layer-case.ts";
import { documentsInWindows } from "../data/document-windows.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { type MemoryConfig, memoryNames } from "./distant-memory.ts";
import { Documents } from "./documents.ts";
import { flash } from "./flash.ts";
import type { Layer } from "./layer.ts";
import { mixedChunkSoftmaxAttention } from "./mixed-chunk-softmax-attention.ts";
import { frequencies } from "./positions.ts";
import { Scope } from "./scope.ts";
import { Visibility } from "./visibility.ts";

const [B, d, chunk] = [2, 4, 4];
const windows = [8, 4, 76, 16, 24]; // 2, 1, 19, 4 and 6 chunks
const T = windows.reduce((sum, length) => sum + length, 0);
/** First tokens of documents: at borders of windows and chunks, inside, several in one chunk, none for long. */
const starts = [
  [8, 10, 11, 20, 90, 104],
  [3, 12, 88],
];

const memories: MemoryConfig[] = memoryNames.map((memory) => ({ memory, halfLives: [1, 30] }));
const layers: (readonly [string, Layer, number])[] = memories.flatMap((memory) => {
  const unit = { width: d, expanded: 2 * d, shared: 4, norm: "scale", chunk, memory } as const;
  const heads = memory.memory === "gated" ? [] : [mixedChunkSoftmaxAttention({ width: d, heads: 2, chunk, memory })];
  return [
    [`flash, ${memory.memory}`, flash(unit), 4] as const,
    ...heads.map((layer) => [`mc-tfm++, ${memory.memory}`, layer, 2] as const),
  ];
});

/** Position of each token in its document, or in the text where documents are joined. */
function positions(separate: boolean): Int32Array {
  return Int32Array.from({ length: B * T }, (_, at) => {
    const [b, t] = [Math.floor(at / T), at % T];
    return separate ? t - Math.max(0, ...starts[b].filter((start) => start <= t)) : t;
  });
}

/** Columns from … to of B rows of T tokens, `width` numbers each. */
function columns<A extends Float32Array | Int32Array>(rows: A, width: number, from: number, to: number): number[] {
  return Array.from({ length: B }, (_, b) => [...rows.subarray((b * T + from) * width, (b * T + to) * width)]).flat();
}

function tokensFrom(from: number, to: number): Int32Array {
  return Int32Array.from({ length: B * (to - from) }, (_, at) => {
    const [b, t] = [Math.floor(at / (to - from)), at % (to - from)];
    return starts[b].includes(from + t) ? 0 : 1;
  });
}

describe.each(layers)("%s", (name, layer, rotaryWidth) => {
  it.each([false, true])("with documents apart: %s", (separate) => {
    const half = rotaryWidth / 2;
    const place = positions(separate);
    const table = (of: (x: number) => number) =>
      Float32Array.from({ length: B * T * half }, (_, i) =>
        of(place[Math.floor(i / half)] * frequencies(half)[i % half]),
      );
    const [cos, sin] = [table(Math.cos), table(Math.sin)];
    const given = (length: number) => ({
      x: input("x", [B, length, d]),
      rotations: {
        cos: input("cos", [B, length, half]),
        sin: input("sin", [B, length, half]),
      },
      visibility: new Visibility({
        causal: true,
        documents: separate ? new Documents(input("documents", [3, B, length], "int32")) : undefined,
      }),
    });
    const documents = (from: number, to: number) =>
      documentsInWindows({ tokens: tokensFrom(from, to), context: to - from, endOfText: 0 });
    const scope = new Scope();
    const whole = given(T);
    const y = layer.forward(scope, whole.x, whole);
    const values = randomValues(scope, whole.x, 0.3);
    const { x, ...parameters } = values;
    const run = (graph: ReturnType<typeof program>, inputs: Record<string, ArrayLike<number>>) =>
      interpret(graph, Object.fromEntries(Object.entries(inputs).filter(([key]) => graph.inputs.has(key))));
    const expected = run(program("whole", { y }), { ...values, cos, sin, documents: documents(0, T) }).y.data;

    const { prefill, state: entries } = layer.recurrence ?? {};
    if (!prefill || !entries) throw new Error(`${name}: no prefill`);
    const replaced = Object.entries(entries).filter(([, { change }]) => change === "replaced");
    let state: Record<string, ArrayLike<number>> = Object.fromEntries(
      replaced.map(([key, { shape }]) => [`state.${key}`, new Float64Array(B * shape.reduce((a, b) => a * b))]),
    );
    let from = 0;
    for (const length of windows) {
      const to = from + length;
      const own = given(length);
      const states = Object.fromEntries(
        replaced.map(([key, { shape }]) => [key, input(`state.${key}`, [B, ...shape])] as const),
      );
      const found = prefill(new Scope(), own.x, own, states);
      const results = run(program("window", { y: found.y, ...found.state }), {
        ...parameters,
        ...state,
        x: columns(x, d, from, to),
        cos: columns(cos, half, from, to),
        sin: columns(sin, half, from, to),
        documents: documents(from, to),
      });
      const wanted = Array.from({ length: B }, (_, b) => [
        ...expected.subarray((b * T + from) * d, (b * T + to) * d),
      ]).flat();
      expectClose(results.y.data, wanted, { name: `y of tokens ${from} to ${to}`, tolerance: 1e-9 });
      // A document that begins with the next window has nothing before it.
      const begins = (b: number) => separate && starts[b].includes(to);
      state = Object.fromEntries(
        replaced.map(([key]) => {
          const data = results[key].data;
          const size = data.length / B;
          return [`state.${key}`, data.map((value, i) => (begins(Math.floor(i / size)) ? 0 : value))];
        }),
      );
      from = to;
    }
  });
});
