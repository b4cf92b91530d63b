/** A run's numbers there and back. */
import { expect, it } from "vitest";
import type { RunColumns } from "./api.ts";
import { decodeColumns, encodeColumns } from "./columns.ts";

it.each([0, 1, 2, 7])("columns of %i steps come back as they were, missing numbers too", (rows) => {
  const wide = (first: number) => Float64Array.from({ length: rows }, (_, i) => first + i);
  const narrow = (first: number) =>
    Float32Array.from({ length: rows }, (_, i) => (i === 1 ? Number.NaN : first / (i + 1)));
  const columns: RunColumns = {
    ...{ generation: "5-ü", next: 1234 },
    train: {
      ...{ step: wide(1), tokens: wide(2 ** 40), seconds: wide(0.25) },
      ...{ loss: narrow(7), gradientNorm: narrow(1), learningRate: narrow(0.01), tokensPerSecond: narrow(2e4) },
      memory: wide(5e9),
    },
    eval: { step: wide(10), tokens: wide(20), seconds: wide(3), loss: narrow(5) },
    others: [{ type: "sample", step: 3, prompt: "Call", text: " me “Ishmael”" }],
  };
  const bytes = encodeColumns(columns);
  expect(bytes.length % 8).toBe(0);
  expect(decodeColumns(bytes.slice().buffer)).toEqual(columns);
});
