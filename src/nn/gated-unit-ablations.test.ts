/**
 * Every ablation of the gated units against a plain-loop sibling in float64: outputs and all gradients by name, at
 * lengths that fit no chunk, causal and not, with and without padding; what padding and the future may not do; and
 * padding alone.
 */
import { afterAll, describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { ofRealTokens, random, randomValues, withGradients } from "../../test/support/layer-case.ts";
import { type PlainUnit, plainGatedUnit } from "../../test/support/plain-gated-unit.ts";
import { input } from "../graph/tensor.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { memoryNames } from "./distant-memory.ts";
import { flash } from "./flash.ts";
import { flashQuad } from "./flash-quad.ts";
import { angleTable } from "./positions.ts";
import { Scope } from "./scope.ts";
import { Visibility } from "./visibility.ts";

const engine = ortNodeEngine({ threads: 1 });
afterAll(() => engine.close());

const [B, d, s] = [2, 4, 4];
const chunk = 8;
const maxLength = 70;

type Variant = Omit<PlainUnit, "span" | "causal" | "shared">;

const paper: Variant = {
  attention: "mixed",
  attentionFunction: "relu2",
  gate: true,
  tokenShift: false,
  norm: "scale",
  expanded: 2 * d,
};
const noGate = { gate: false, expanded: 3 * d } as const;

const variants: readonly (readonly [string, Variant])[] = [
  { attention: "mixed" as const },
  { attention: "mixed" as const, attentionFunction: "softmax" as const },
  { attention: "mixed" as const, attentionFunction: "laplace" as const, tokenShift: true },
  { attention: "mixed" as const, ...noGate },
  { attention: "mixed" as const, ...noGate, attentionFunction: "softmax" as const, norm: "layer" as const },
  { attention: "local" as const, attentionFunction: "softmax" as const, tokenShift: true },
  { attention: "local" as const, attentionFunction: "laplace" as const, ...noGate },
  { attention: "global" as const, ...noGate, tokenShift: true },
  ...memoryNames.slice(1).map((memory) => ({ memory: { memory, halfLives: [1, 30] as const } })),
  { attention: "global" as const, memory: { memory: "decay" as const, halfLives: [4, 16] as const } },
  { attention: "mixed" as const, tokenShift: true, memory: { memory: "gated" as const, halfLives: [2, 9] as const } },
  { attention: "quad" as const, attentionFunction: "softmax" as const },
  { attention: "quad" as const, attentionFunction: "laplace" as const, tokenShift: true },
  { attention: "quad" as const, ...noGate, norm: "layer" as const },
  { attention: "quad" as const, ...noGate, attentionFunction: "softmax" as const },
].map((fields) => [JSON.stringify(fields), { ...paper, ...fields }] as const);

interface Case {
  readonly T: number;
  readonly causal: boolean;
  readonly masked: boolean;
}

function build(variant: Variant, { T, causal, masked }: Case) {
  const { attention, ...own } = variant;
  const scope = new Scope();
  const x = input("x", [B, T, d]);
  const mask = masked ? input("mask", [B, T]) : undefined;
  const unit = { ...own, width: d, shared: s };
  const layer = attention === "quad" ? flashQuad({ ...unit, maxLength }) : flash({ ...unit, chunk, attention });
  const visibility = new Visibility({ causal, mask });
  const y = layer.forward(scope, x, { rotations: angleTable(T, s), visibility });
  const graph = withGradients(scope, x, y);
  const values = randomValues(scope, x);
  if (masked) values.mask = holes(T);
  const config: PlainUnit = { ...variant, shared: s, causal, span: attention === "quad" ? maxLength : chunk };
  return { graph, values, config };
}

/**
 * The first sequence has three holes of one token; the second ends in padding of more than a chunk where there is one.
 */
function holes(T: number): Float32Array {
  const real = T - Math.min(T - 1, chunk + 3);
  return Float32Array.from({ length: B * T }, (_, at) => {
    if (at >= T) return at - T < real ? 1 : 0;
    return T > 1 && [4, 8, 10].includes(at) ? 0 : 1;
  });
}

const cases: Case[] = [1, 13, 65].flatMap((T) =>
  [true, false].flatMap((causal) => [true, false].map((masked) => ({ T, causal, masked }))),
);

describe.each(variants)("%s", (_, variant) => {
  it.each(cases)("of $T tokens, causal $causal, masked $masked, is the plain one", (size) => {
    const { T } = size;
    const { graph, values, config } = build(variant, size);
    const cotangent = ofRealTokens(random("cotangent", T, B * T * d, 1), values.mask, d);
    const actual = interpret(graph, { ...values, cotangent });
    const plain = plainGatedUnit(config, { B, T, d }, values, cotangent);
    expect(Object.keys(plain).sort()).toEqual(Object.keys(actual).sort());
    for (const results of [actual.y.data, plain.y]) results.set(ofRealTokens(results, values.mask, d));
    // A gradient that should be zero is compared with the largest one.
    const norm = (data: ArrayLike<number>) => Math.hypot(...Array.from(data));
    const largest = Math.max(...Object.values(plain).map(norm));
    for (const [name, data] of Object.entries(plain)) {
      if (norm(data) < 1e-12 * largest) expect(norm(actual[name].data) / largest, name).toBeLessThan(1e-12);
      else expectClose(actual[name].data, data, { name, tolerance: 1e-7, shape: actual[name].shape });
    }
  });

  it("does not depend on padding", () => {
    const T = 29;
    const { graph, values } = build(variant, { T, causal: false, masked: true });
    const cotangent = random("cotangent", T, B * T * d, 1);
    const other = values.x.map((value, at) => (values.mask[Math.floor(at / d)] === 1 ? value : 3 * value + 1));
    const [one, two] = [values.x, other].map((x) => interpret(graph, { ...values, x, cotangent }).y.data);
    const name = "y of real tokens";
    expectClose(ofRealTokens(two, values.mask, d), ofRealTokens(one, values.mask, d), { name, tolerance: 1e-14 });
  });

  it("is causal, and depends on earlier tokens", () => {
    const [T, at] = [29, 17];
    const { graph, values } = build(variant, { T, causal: true, masked: false });
    const cotangent = random("cotangent", T, B * T * d, 1);
    const changedAt = (changes: (t: number) => boolean) => {
      const x = values.x.map((value, i) => (changes(Math.floor(i / d) % T) ? -value : value));
      return interpret(graph, { ...values, x, cotangent }).y.data;
    };
    const y = changedAt(() => false);
    const earlier = (rows: Float64Array) => rows.filter((_, i) => Math.floor(i / d) % T < at);
    expectClose(earlier(changedAt((t) => t >= at)), earlier(y), { name: "y before the change", tolerance: 1e-14 });
    expect(changedAt((t) => t === at).findIndex((value, i) => value !== y[i])).toBe(at * d);
    const last = (rows: Float64Array) => [...rows.subarray((T - 1) * d, T * d)];
    const sameEnd = last(changedAt((t) => t < chunk)).every((value, i) => value === last(y)[i]);
    expect(sameEnd).toBe(variant.attention === "local");
  });

  it("is finite on the engine where a sequence is nothing but padding, and as defined elsewhere", async () => {
    const T = 13;
    const { graph, values } = build(variant, { T, causal: false, masked: true });
    values.mask.fill(0, T);
    values.cotangent = ofRealTokens(random("cotangent", T, B * T * d, 1), values.mask, d);
    const compiled = await engine.compile(graph);
    const actual = (await compiled.run(values)) as Record<string, Float32Array>;
    const exact = Object.entries(interpret(graph, values));
    const largest = Math.max(...exact.map(([, { data }]) => Math.hypot(...data)));
    for (const [name, { data, shape }] of exact) {
      // The tolerance of a small gradient allows for float32's rounding of the large ones.
      const tolerance = Math.max(1e-5, (1e-6 * largest) / Math.hypot(...data));
      expectClose(actual[name], data, { name, tolerance, shape });
    }
    await compiled.release();
  });
});
