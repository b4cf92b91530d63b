/** Linear attention in chunks against plain loops, with gradients; compensated sums over a long text. */
import { afterAll, describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { randomKey, randomNormals } from "../base/random.ts";
import { gradients } from "../graph/gradients.ts";
import { program } from "../graph/program.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { inChunks, outOfChunks } from "./chunks.ts";
import { acrossChunks, addCompensated, linearAttention } from "./linear-attention.ts";
import { Visibility } from "./visibility.ts";

const [B, H, C, s, n] = [2, 3, 8, 4, 5];
const random = (name: string, size: number) => randomNormals(randomKey(9, name), size);

interface Case {
  readonly T: number;
  readonly causal: boolean;
  readonly ownPast: boolean;
  readonly masked: boolean;
}

const cases: Case[] = [1, 8, 29].flatMap((T) =>
  [false, true].flatMap((masked) => [
    { T, causal: false, ownPast: false, masked },
    { T, causal: true, ownPast: false, masked },
    { T, causal: true, ownPast: true, masked },
  ]),
);

describe("linear attention", () => {
  it.each(cases)(
    "of $T tokens, causal $causal, own past $ownPast, masked $masked, is that of plain loops",
    (options) => {
      const { T, causal, ownPast, masked } = options;
      const [q, k, v] = [input("q", [B, H, T, s]), input("k", [B, H, T, s]), input("v", [B, H, T, n])];
      const mask = masked ? input("mask", [B, T]) : undefined;
      const chunks = new Visibility({ causal, mask }).inChunks(C, T);
      const [qc, kc, vc] = [q, k, v].map((t) => inChunks(t, C));
      const inputs = { q: qc, k: kc.swapLast(), v: vc };
      const isAcross = causal && !ownPast;
      const attended = isAcross ? acrossChunks(inputs, chunks).attended : linearAttention(inputs, chunks);
      expect(attended === undefined).toBe(isAcross && T <= C);
      if (!attended) return;
      const y = outOfChunks(attended, T);
      const [dq, dk, dv] = gradients(y, [q, k, v], input("cotangent", y.shape));
      const values: Record<string, Float32Array> = {
        ...{ q: random("q", q.size), k: random("k", k.size), v: random("v", v.size) },
        cotangent: random("cotangent", y.size),
        ...(masked && { mask: Float32Array.from({ length: B * T }, (_, at) => Number(at % 5 !== 1)) }),
      };
      const sizes = { y: y.size, dq: q.size, dk: k.size, dv: v.size };
      const expected = Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, new Float64Array(size)]));
      for (let row = 0; row < B * H * T; row++) {
        const [text, i] = [Math.floor(row / T) * T, row % T];
        for (let j = 0; j < T; j++) {
          const earlier = ownPast ? j <= i : Math.floor(j / C) < Math.floor(i / C);
          if ((causal && !earlier) || values.mask?.[Math.floor(row / T / H) * T + j] === 0) continue;
          let weight = 0;
          let slope = 0;
          for (let a = 0; a < s; a++) weight += values.q[row * s + a] * values.k[(text + j) * s + a];
          for (let a = 0; a < n; a++) {
            slope += values.cotangent[row * n + a] * values.v[(text + j) * n + a];
            expected.y[row * n + a] += weight * values.v[(text + j) * n + a];
            expected.dv[(text + j) * n + a] += weight * values.cotangent[row * n + a];
          }
          for (let a = 0; a < s; a++) {
            expected.dq[row * s + a] += slope * values.k[(text + j) * s + a];
            expected.dk[(text + j) * s + a] += slope * values.q[row * s + a];
          }
        }
      }
      const actual = interpret(program("test", { y, dq, dk, dv }), values);
      for (const [name, { data, shape }] of Object.entries(actual)) {
        expectClose(data, expected[name], { name, tolerance: 1e-13, shape });
      }
    },
  );

  it("continues from a sum as if the chunks before it were there", () => {
    const [T, first] = [5 * C, 2 * C];
    const [q, k, v] = [input("q", [B, T, s]), input("k", [B, T, s]), input("v", [B, T, n])];
    const visibility = new Visibility({ causal: true });
    const part = (t: Tensor, from: number, to: number) => inChunks(t.slice(1, from, to), C);
    const of = (from: number, to: number) => ({
      q: part(q, from, to),
      k: part(k, from, to).swapLast(),
      v: part(v, from, to),
    });
    const nothing = { sum: q.zeros([B, s, n]), compensation: q.zeros([B, s, n]) };
    const whole = acrossChunks(of(0, T), visibility.inChunks(C, T), nothing);
    const before = acrossChunks(of(0, first), visibility.inChunks(C, first), nothing).after;
    const later = acrossChunks(of(first, T), visibility.inChunks(C, T - first), before);
    const outputs = [whole.attended?.slice(1, first / C, T / C), later.attended, whole.after?.sum, later.after?.sum];
    const named = Object.fromEntries(outputs.flatMap((t, i) => (t ? [[`output${i}`, t]] : [])));
    const values = { q: random("q", q.size), k: random("k", k.size), v: random("v", v.size) };
    const { output0, output1, output2, output3 } = interpret(program("test", named), values);
    expectClose(output1.data, output0.data, { name: "attended", tolerance: 1e-13 });
    expectClose(output3.data, output2.data, { name: "sum", tolerance: 1e-13 });
  });
});

describe("a running sum", () => {
  const engine = ortNodeEngine({ threads: 1 });
  afterAll(() => engine.close());

  it("keeps what float32 would round away", async () => {
    const [sum, compensation, x] = ["sum", "compensation", "x"].map((name) => input(name, [1]));
    const after = addCompensated({ sum, compensation }, x);
    const compiled = await engine.compile(program("sum", { total: after.sum, lost: after.compensation }));
    const state = { sum: Float32Array.of(1), compensation: new Float32Array(1) };
    const small = Float32Array.of(2 ** -26); // a quarter of what float32 can add to 1
    for (let i = 0; i < 4096; i++) {
      const { total, lost } = await compiled.run({ ...state, x: small });
      state.sum.set(total);
      state.compensation.set(lost);
    }
    expect(state.sum[0] + state.compensation[0]).toBe(1 + 4096 * small[0]);
    expect(state.sum[0]).toBeGreaterThan(1);
    await compiled.release();
  });
});
