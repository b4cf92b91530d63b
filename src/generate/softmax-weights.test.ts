/** The weights of a softmax against Math.exp, whose bits they have in this engine. */
import { expect, it } from "vitest";
import { randomKey, randomUniform } from "../base/random.ts";
import { softmaxWeights } from "./softmax-weights.ts";

const places = [0, -0, -1e-9, -(2 ** -28), -(2 ** -27), -0.3465735, -0.3465736, -1.03972, -1.03973, -Math.LN2];
const far = [-5, -87.3, -706.9, -707.1, -708.4, -744.4, -745.2, -1e30, Number.NEGATIVE_INFINITY];

it.each([0.1, 0.7, 1, 3])("has the bits of Math.exp, and their sum in order, at temperature %d", (temperature) => {
  const key = randomKey(1, "scores");
  const spread = [1e-3, 1, 8, 40, 900];
  const drawn = Array.from({ length: 200_000 }, (_, i) => -randomUniform(key, i) * spread[i % spread.length]);
  const scores = Float32Array.from([...places, ...far, ...drawn], (score) => score + 2);
  const weights = new Float64Array(scores.length);
  const sum = softmaxWeights(scores, weights, { largest: 2, temperature });
  const expected = Float64Array.from(scores, (score) => Math.exp((score - 2) / temperature));
  expect(weights.every((weight, i) => Object.is(weight, expected[i]))).toBe(true);
  expect(sum).toBe(expected.reduce((total, weight) => total + weight, 0));
});
