/** Models whose weights lie in another file: what is in them, and that a branch is taken when its condition holds. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { program } from "../graph/program.ts";
import { constant, input } from "../graph/tensor.ts";
import { standaloneOnnx } from "./standalone.ts";

const folder = mkdtempSync(join(tmpdir(), "longhand-standalone-"));
const values = Float32Array.from({ length: 20_000 }, (_, i) => i / 7);
const OFFSET = 24;
const stored = { type: "float32", shape: [2, 10_000], file: "weights.bin", offset: OFFSET, bytes: 80_000 } as const;

beforeAll(() => {
  writeFileSync(join(folder, "weights.bin"), Buffer.concat([Buffer.alloc(OFFSET, 9), new Uint8Array(values.buffer)]));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** y = x w + a large constant; where x is not 0, the branch makes z = 2 y of z = y. */
function model(): Uint8Array {
  const x = input("x", [1, 2]);
  const w = input("w", [2, 10_000]);
  const y = x.matmul(w).add(constant(new Float32Array(10_000).fill(0.5), [10_000]));
  const isSet = x.constant(0).less(x.sum([0, 1]).reshape([1]));
  const doubled = program("double", {
    z: input("before", [1, 10_000]).mul(input("w", [2, 10_000]).slice(0, 0, 1).mul(0).add(2)),
  });
  const branch = { condition: "isSet", program: doubled, otherwise: { z: "before" } };
  return standaloneOnnx(program("main", { y: y.add(0), before: y, isSet }), { weights: { w: stored }, branch });
}

it("holds neither weights nor operators outside the standard, and names the file without a path", () => {
  const bytes = Buffer.from(model());
  expect(bytes.length).toBeLessThan(42_000); // the constant has 40,000
  for (const absent of ["com.microsoft", folder, "/weights.bin"]) expect(bytes.includes(absent), absent).toBe(false);
  expect(bytes.includes("weights.bin")).toBe(true);
});

it("is loaded with the weights beside it, and takes its branch when the condition holds", async () => {
  writeFileSync(join(folder, "model.onnx"), model());
  const session = await InferenceSession.create(join(folder, "model.onnx"));
  expect([session.inputNames, session.outputNames]).toEqual([["x"], ["y", "z"]]);
  for (const [a, factor] of [
    [0, 1],
    [3, 2],
  ]) {
    const { y, z } = await session.run({ x: new Tensor("float32", Float32Array.of(a, 0), [1, 2]) });
    const wanted = values.subarray(0, 10_000).map((w) => a * w + 0.5);
    expect(y.data).toEqual(wanted);
    expect(z.data).toEqual(wanted.map((value) => factor * value));
  }
  await session.release();
});
