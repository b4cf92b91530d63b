/**
 * Every multi-head attention against a plain-loop sibling in float64: outputs and all gradients by name, at lengths
 * that fit no chunk and no block, causal and not, with and without padding; and that padding has no influence.
 */
import { describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { attentionOf, kinds } from "../../test/support/attentions.ts";
import { expectClose } from "../../test/support/compare.ts";
import { ofRealTokens, random, randomValues, withGradients } from "../../test/support/layer-case.ts";
import { type Kind, plainAttention } from "../../test/support/plain-attention.ts";
import { randomKey, randomNormals } from "../base/random.ts";
import { sizeOf } from "../base/shape.ts";
import { gradients } from "../graph/gradients.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { orthogonalFeatures, SUM_CHUNK } from "./favor-attention.ts";
import { angleTable } from "./positions.ts";
import { Scope } from "./scope.ts";
import { Visibility } from "./visibility.ts";

const [B, d, heads, m] = [2, 4, 2, 6];
const w = d / heads;
const chunk = 8;
const features = orthogonalFeatures(m, w, 3, 0);
const omega = Float64Array.from(features.node.kind === "constant" ? features.node.data : []);

interface Case {
  readonly kind: Kind;
  readonly T: number;
  readonly causal: boolean;
  readonly masked: boolean;
}

function build({ kind, T, causal, masked }: Case) {
  const scope = new Scope();
  const x = input("x", [B, T, d]);
  const mask = masked ? input("mask", [B, T]) : undefined;
  const inputs = { rotations: angleTable(T, w), visibility: new Visibility({ causal, mask }) };
  const y = attentionOf(kind, { width: d, heads, chunk, features }).forward(scope, x, inputs);
  const graph = withGradients(scope, x, y);
  const values = randomValues(scope, x, 0.3);
  if (masked) values.mask = paddedMask(T);
  return { graph, values, cotangent: ofRealTokens(random("cotangent", T, B * T * d, 1), values.mask, d) };
}

/** The first sequence is whole, the second ends in padding that covers more than a chunk where there is one. */
function paddedMask(T: number): Float32Array {
  const real = T - Math.min(T - 1, chunk + 3);
  return Float32Array.from({ length: B * T }, (_, at) => (at < T || at - T < real ? 1 : 0));
}

const lengths = [1, 63, 65, 257];
const cases: Case[] = kinds.flatMap((kind) =>
  lengths.flatMap((T) => [
    { kind, T, causal: true, masked: false },
    { kind, T, causal: false, masked: false },
    { kind, T, causal: false, masked: true },
    { kind, T, causal: true, masked: true },
  ]),
);

describe("attention", () => {
  it.each(cases)("$kind of $T tokens, causal $causal, masked $masked, is the plain one", (options) => {
    const { graph, values, cotangent } = build(options);
    const actual = interpret(graph, { ...values, cotangent });
    const expected = plainAttention({ ...options, B, d, heads, chunk, omega }, values, cotangent);
    expect(Object.keys(expected).sort()).toEqual(Object.keys(actual).sort());
    for (const results of values.mask ? [actual.y.data, expected.y] : []) {
      results.set(ofRealTokens(results, values.mask, d));
    }
    // A gradient that should be zero is compared with the largest one.
    const norm = (data: ArrayLike<number>) => Math.hypot(...Array.from(data));
    const largest = Math.max(...Object.values(expected).map(norm));
    for (const [name, data] of Object.entries(expected)) {
      if (norm(data) < 1e-12 * largest) expect(norm(actual[name].data) / largest, name).toBeLessThan(1e-12);
      else expectClose(actual[name].data, data, { name, tolerance: 1e-6, shape: actual[name].shape });
    }
  });

  it.each(kinds)("%s does not depend on padding", (kind) => {
    const T = 65;
    const { graph, values, cotangent } = build({ kind, T, causal: false, masked: true });
    const mask = paddedMask(T);
    const other = values.x.map((value, at) => (mask[Math.floor(at / d)] === 1 ? value : 3 * value + 1));
    const [one, two] = [values.x, other].map((x) => interpret(graph, { ...values, x, cotangent }).y.data);
    expectClose(ofRealTokens(two, mask, d), ofRealTokens(one, mask, d), { name: "y of real tokens", tolerance: 1e-14 });
  });

  it.each(kinds)("%s is causal", (kind) => {
    const T = 65;
    const { graph, values, cotangent } = build({ kind, T, causal: true, masked: false });
    const at = 40;
    const changed = values.x.map((value, i) => (Math.floor(i / d) % T >= at ? -value : value));
    const [one, two] = [values.x, changed].map((x) => interpret(graph, { ...values, x, cotangent }).y.data);
    const earlier = (y: Float64Array) => y.filter((_, i) => Math.floor(i / d) % T < at);
    expectClose(earlier(two), earlier(one), { name: "y before the change", tolerance: 1e-14 });
  });
});

describe("orthogonal features", () => {
  it("are orthogonal within a block, of the lengths of normal vectors, and the same for the same seed", () => {
    const [count, width] = [40, 16];
    const values = (seed: number, layer: number) => {
      const { node } = orthogonalFeatures(count, width, seed, layer);
      return node.kind === "constant" ? Float64Array.from(node.data) : new Float64Array();
    };
    const a = values(1, 0);
    const product = (i: number, j: number) => {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += a[i * width + k] * a[j * width + k];
      return sum;
    };
    let squares = 0;
    for (let i = 0; i < count; i++) {
      squares += product(i, i) / width;
      for (let j = i - (i % width); j < i; j++) expect(Math.abs(product(i, j)), `${i} ${j}`).toBeLessThan(1e-5);
    }
    expect(squares / count).toBeGreaterThan(0.85);
    expect(squares / count).toBeLessThan(1.15);
    expect(values(1, 0)).toEqual(a);
    expect(values(1, 1)).not.toEqual(a);
    expect(values(2, 0)).not.toEqual(a);
  });

  it("estimate softmax attention", () => {
    const T = 24;
    const scope = new Scope();
    const x = input("x", [1, T, d]);
    const omega = orthogonalFeatures(2048, w, 1, 0);
    const inputs = { rotations: angleTable(T, w), visibility: new Visibility({ causal: true }) };
    const found = (kind: Kind) =>
      attentionOf(kind, { width: d, heads, chunk, features: omega }).forward(scope, x, inputs);
    const graph = program("estimate", { estimate: found("favor"), exact: found("softmax-rope") });
    const values = Object.fromEntries(
      scope.parameters.map(({ path, shape }) => [path, randomNormals(randomKey(5, path), sizeOf(shape), 0.3)]),
    );
    const { estimate, exact } = interpret(graph, { ...values, x: randomNormals(randomKey(5, "x"), T * d) });
    expectClose(estimate.data, exact.data, { name: "estimate", tolerance: 0.05 });
  });

  it("stay finite where exponents would not", async () => {
    const T = 200;
    const scope = new Scope();
    const x = input("x", [1, T, d]);
    const inputs = { rotations: angleTable(T, w), visibility: new Visibility({ causal: true }) };
    const y = attentionOf("favor", { width: d, heads, chunk: SUM_CHUNK, features }).forward(scope, x, inputs);
    const wrt = { x, ...Object.fromEntries(scope.parameters.map(({ path, tensor }) => [path, tensor])) };
    const found = gradients(y, Object.values(wrt), input("cotangent", y.shape));
    const graph = program("large", {
      y,
      ...Object.fromEntries(Object.keys(wrt).map((name, i) => [`d ${name}`, found[i]])),
    });
    const values = Object.fromEntries(
      scope.parameters.map(({ path, shape }) => [path, randomNormals(randomKey(5, path), sizeOf(shape), 20)]),
    );
    const engine = ortNodeEngine({ threads: 1 });
    const compiled = await engine.compile(graph);
    const random = (name: string) => randomNormals(randomKey(6, name), T * d);
    const results = await compiled.run({ ...values, x: random("x"), cotangent: random("cotangent") });
    for (const [name, data] of Object.entries(results)) expect(data.every(Number.isFinite), name).toBe(true);
    await engine.close();
  });
});
