/** What layers show of their attention, against plain loops in float64: weights, and what either half adds. */
import { describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { randomValues } from "../../test/support/layer-case.ts";
import { type PlainSeen, type PlainUnit, plainGatedUnit } from "../../test/support/plain-gated-unit.ts";
import { program } from "../graph/program.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import { flash } from "./flash.ts";
import { flashQuad } from "./flash-quad.ts";
import type { AttentionSeen } from "./layer.ts";
import { angleTable } from "./positions.ts";
import { Scope } from "./scope.ts";
import { softmaxAttention } from "./softmax-attention.ts";
import { Visibility } from "./visibility.ts";

const [d, s, chunk, maxLength, T] = [4, 4, 8, 70, 29];

const unit = { gate: true, tokenShift: false, norm: "scale", expanded: 2 * d, attentionFunction: "relu2" } as const;

const variants: readonly Omit<PlainUnit, "span" | "causal" | "shared">[] = [
  { ...unit, attention: "mixed" },
  { ...unit, attention: "mixed", attentionFunction: "softmax" },
  { ...unit, attention: "mixed", memory: { memory: "learned", halfLives: [1, 30] } },
  { ...unit, attention: "mixed", memory: { memory: "gated", halfLives: [2, 9] } },
  { ...unit, attention: "local", attentionFunction: "laplace" },
  { ...unit, attention: "global" },
  { ...unit, attention: "quad", attentionFunction: "softmax" },
];

/** What a layer shows of one text, as the interpreter computes it, and the values it was computed with. */
function shown(forward: (scope: Scope, x: Tensor, observe: (seen: AttentionSeen) => void) => Tensor) {
  const scope = new Scope();
  const x = input("x", [1, T, d]);
  const outputs: Record<string, Tensor> = {};
  let calls = 0;
  outputs.y = forward(scope, x, (seen) => {
    calls++;
    for (const [name, tensor] of Object.entries(seen)) if (tensor) outputs[name] = tensor;
  });
  expect(calls).toBe(1);
  const values = randomValues(scope, x);
  return { seen: interpret(program("seen", outputs), values), values };
}

describe.each(variants.map((variant) => [`${variant.attention}, ${variant.attentionFunction}`, variant] as const))(
  "%s",
  (_, variant) => {
    const { attention, ...own } = variant;
    const fields = { ...own, width: d, shared: s };
    const span = attention === "quad" ? maxLength : chunk;

    it("shows what plain loops find", () => {
      const layer = attention === "quad" ? flashQuad({ ...fields, maxLength }) : flash({ ...fields, chunk, attention });
      const inputs = { rotations: angleTable(T, s), visibility: new Visibility({ causal: true }) };
      const { seen, values } = shown((scope, x, observe) => layer.forward(scope, x, { ...inputs, observe }));
      const plain: PlainSeen[] = [];
      const config: PlainUnit = { ...variant, shared: s, causal: true, span };
      plainGatedUnit(config, { B: 1, T, d }, values, new Float32Array(T * d), (own) => void plain.push(own));
      const e = 2 * d;
      const rows = attention === "quad" ? T : Math.ceil(T / chunk) * chunk; // the last chunk is filled up
      const N = attention === "quad" ? T : chunk;
      const [weights, local, distant] = [N, e, e].map((width) => new Float64Array(rows * width));
      for (const own of plain) {
        for (const [i, j] of own.near.entries()) weights[own.t * N + (j % N)] = own.weights[i];
        local.set(own.local, own.t * e);
        distant.set(own.distant, own.t * e);
      }
      const expected = {
        ...(attention !== "global" && { weights, local }),
        ...((attention === "mixed" || attention === "global") && { distant }),
      };
      expect(Object.keys(seen).sort()).toEqual(["y", ...Object.keys(expected)].sort());
      for (const [name, values] of Object.entries(expected)) {
        const width = name === "weights" ? N : e;
        expectClose(seen[name].data.slice(0, T * width), values.slice(0, T * width), { name, tolerance: 1e-10 });
      }
    });
  },
);

it("shows heads of softmax attention whose weights are of tokens before and add up to 1", () => {
  const heads = 2;
  const layer = softmaxAttention({ width: d, heads, rotary: true });
  const inputs = { rotations: angleTable(T, d / heads), visibility: new Visibility({ causal: true }) };
  const { seen } = shown((scope, x, observe) => layer.forward(scope, x, { ...inputs, observe }));
  const { weights } = seen;
  expect(weights.shape).toEqual([1, heads, T, T]);
  for (let row = 0; row < heads * T; row++) {
    const own = Array.from(weights.data.slice(row * T, (row + 1) * T), Number);
    expect(own.slice((row % T) + 1).every((weight) => weight === 0)).toBe(true);
    expect(own.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
  }
});
