/**
 * Every attention and every ablation within documents against its plain sibling in float64: outputs and all gradients
 * by name, with borders inside chunks, at borders of chunks and at the last token, several documents in one chunk and
 * one over many, causal and not, with and without padding.
 */
import { afterAll, describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { attentionOf, kinds } from "../../test/support/attentions.ts";
import { expectClose } from "../../test/support/compare.ts";
import { ofRealTokens, random, randomValues, withGradients } from "../../test/support/layer-case.ts";
import { type Kind, plainAttention } from "../../test/support/plain-attention.ts";
import { type PlainUnit, plainGatedUnit } from "../../test/support/plain-gated-unit.ts";
import { documentsInWindows } from "../data/document-windows.ts";
import type { Program } from "../graph/program.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { memoryNames } from "./distant-memory.ts";
import { Documents } from "./documents.ts";
import { orthogonalFeatures } from "./favor-attention.ts";
import { flash } from "./flash.ts";
import { flashQuad } from "./flash-quad.ts";
import { angleTable } from "./positions.ts";
import { Scope } from "./scope.ts";
import { Visibility } from "./visibility.ts";

const [B, d, s, heads, m, chunk, maxLength] = [2, 4, 4, 2, 6, 8, 70];
const w = d / heads;
const features = orthogonalFeatures(m, w, 3, 0);
const omega = Float64Array.from(features.node.kind === "constant" ? features.node.data : []);

/** First tokens of documents: of lengths 3, 2, 3, 1, 21, 14 and 1; and of 24, 2, 1 and the rest. */
const starts = [
  [3, 5, 8, 9, 30, 44],
  [24, 26, 27],
];

interface Case {
  readonly T: number;
  readonly causal: boolean;
  readonly masked: boolean;
}

const cases: Case[] = [7, 13, 45].flatMap((T) =>
  [true, false].flatMap((causal) => [true, false].map((masked) => ({ T, causal, masked }))),
);

function documentsOf(T: number): Int32Array {
  const tokens = new Int32Array(B * T).fill(1);
  for (const [b, own] of starts.entries()) for (const at of own) if (at < T) tokens[b * T + at] = 0;
  return documentsInWindows({ tokens, context: T, endOfText: 0 });
}

/** Three holes in the first sequence, padding at the end of the second. */
const maskOf = (T: number) =>
  Float32Array.from({ length: B * T }, (_, at) => (at < T ? Number(![4, 8, 10].includes(at)) : Number(at - T < T - 3)));

interface Given {
  readonly x: Tensor;
  readonly mask: Tensor | undefined;
  readonly documents: Documents;
}

function build({ T, masked }: Case, layer: (scope: Scope, given: Given) => Tensor) {
  const scope = new Scope();
  const x = input("x", [B, T, d]);
  const mask = masked ? input("mask", [B, T]) : undefined;
  const y = layer(scope, { x, mask, documents: new Documents(input("documents", [3, B, T], "int32")) });
  const graph = withGradients(scope, x, y);
  const values = randomValues(scope, x);
  if (masked) values.mask = maskOf(T);
  return { graph, values };
}

function expectPlain(
  graph: Program,
  values: Record<string, Float32Array>,
  { T, tolerance }: { readonly T: number; readonly tolerance: number },
  plain: (cotangent: Float32Array, numbers: Int32Array) => Record<string, Float64Array>,
) {
  const documents = documentsOf(T);
  const cotangent = ofRealTokens(random("cotangent", T, B * T * d, 1), values.mask, d);
  const expected = plain(cotangent, documents.subarray(0, B * T));
  const actual = interpret(graph, { ...values, cotangent, documents });
  expect(Object.keys(expected).sort()).toEqual(Object.keys(actual).sort());
  for (const results of [actual.y.data, expected.y]) results.set(ofRealTokens(results, values.mask, d));
  // A gradient that should be zero is compared with the largest one.
  const norm = (data: ArrayLike<number>) => Math.hypot(...Array.from(data));
  const largest = Math.max(...Object.values(expected).map(norm));
  for (const [name, data] of Object.entries(expected)) {
    if (norm(data) < 1e-12 * largest) expect(norm(actual[name].data) / largest, name).toBeLessThan(1e-12);
    else expectClose(actual[name].data, data, { name, tolerance, shape: actual[name].shape });
  }
}

const paper = {
  attention: "mixed",
  attentionFunction: "relu2",
  gate: true,
  tokenShift: false,
  norm: "scale",
  expanded: 2 * d,
} as const satisfies Omit<PlainUnit, "span" | "causal" | "shared">;

const variants: readonly (readonly [string, Omit<PlainUnit, "span" | "causal" | "shared">])[] = [
  {},
  { attentionFunction: "softmax" as const, gate: false, expanded: 3 * d },
  { attentionFunction: "laplace" as const, tokenShift: true },
  { attention: "local" as const, attentionFunction: "softmax" as const, tokenShift: true },
  { attention: "global" as const },
  ...memoryNames.slice(1).map((memory) => ({ memory: { memory, halfLives: [1, 30] as const } })),
  { attention: "global" as const, memory: { memory: "learned" as const, halfLives: [1, 30] as const } },
  { attention: "quad" as const, tokenShift: true },
  { attention: "quad" as const, attentionFunction: "softmax" as const, norm: "layer" as const },
].map((fields) => [JSON.stringify(fields), { ...paper, ...fields }] as const);

describe.each(variants)("gated unit %s", (_, variant) => {
  it.each(cases)("of $T tokens, causal $causal, masked $masked, is the plain one", (size) => {
    const { T, causal } = size;
    const { attention, ...own } = variant;
    const unit = { ...own, width: d, shared: s };
    const layer = attention === "quad" ? flashQuad({ ...unit, maxLength }) : flash({ ...unit, chunk, attention });
    const { graph, values } = build(size, (scope, { x, mask, documents }) => {
      const rotations = documents.anglesByPosition(angleTable(T, s));
      return layer.forward(scope, x, { rotations, visibility: new Visibility({ causal, mask, documents }) });
    });
    const config = { ...variant, shared: s, causal, span: attention === "quad" ? maxLength : chunk };
    expectPlain(graph, values, { T, tolerance: 1e-7 }, (cotangent, numbers) =>
      plainGatedUnit(config, { B, T, d, numbers }, values, cotangent),
    );
  });
});

function multiHead(kind: Kind, { T, causal }: Pick<Case, "T" | "causal">) {
  return (scope: Scope, { x, mask, documents }: Given): Tensor => {
    const rotations = documents.anglesByPosition(angleTable(T, w));
    const visibility = new Visibility({ causal, mask, documents });
    return attentionOf(kind, { width: d, heads, chunk, features }).forward(scope, x, { rotations, visibility });
  };
}

describe.each(kinds)("%s attention", (kind) => {
  it.each(cases)("of $T tokens, causal $causal, masked $masked, is the plain one", (size) => {
    const { T, causal } = size;
    const { graph, values } = build(size, multiHead(kind, size));
    expectPlain(graph, values, { T, tolerance: 1e-6 }, (cotangent, numbers) =>
      plainAttention({ kind, T, causal, B, d, heads, chunk, omega, numbers }, values, cotangent),
    );
  });
});

describe("performer", () => {
  const engine = ortNodeEngine({ threads: 1 });
  afterAll(() => engine.close());

  it.each([true, false])(
    "keeps the weights of a document next to one with far larger keys, causal %s",
    async (causal) => {
      const T = 45;
      const { graph, values } = build({ T, causal, masked: false }, multiHead("favor", { T, causal }));
      const documents = documentsOf(T);
      const cotangent = random("cotangent", T, B * T * d, 1);
      // The keys of one document are so long that features of the others underflow next to them.
      values.x = values.x.map((value, i) => (i >= 9 * d && i < 30 * d ? 40 * value : value));
      const compiled = await engine.compile(graph);
      const actual = await compiled.run({ ...values, cotangent, documents });
      const exact = interpret(graph, { ...values, cotangent, documents });
      const rows = (y: ArrayLike<number>) => Array.from(y).slice(9 * d, 30 * d);
      expectClose(rows(actual.y), rows(exact.y.data), { name: "y", tolerance: 1e-4 });
      const bias = Array.from({ length: 21 }, () => [...values["attention_out.bias"]]).flat();
      expect(Math.hypot(...rows(actual.y).map((value, i) => value - bias[i]))).toBeGreaterThan(1);
    },
  );
});
