/** ONNX models from anywhere: whatever was done to one, it is described or refused. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { LonghandError } from "../../base/errors.ts";
import { randomKey, randomUniform } from "../../base/random.ts";
import { program } from "../../graph/program.ts";
import { input } from "../../graph/tensor.ts";
import { toOnnx } from "../../onnx/model.ts";
import { encodeModel } from "../../onnx/schema.ts";
import { inspectOnnx, onnxFacts } from "./files.ts";

const x = input("x", [2, 3]);
const { bytes } = toOnnx(program("product", { y: x.matmul(x.swapLast()).add(x.constant(2)) }));

it("describes a model", () => {
  expect(onnxFacts(bytes, "f")).toMatchObject({ inputs: ["x"], outputs: ["y"], operators: 3, bytes: bytes.length });
});

const external = (place: Record<string, string>, name = "w") =>
  encodeModel({
    ir_version: 9n,
    graph: {
      node: [{ op_type: "Identity", input: [name], output: ["y"] }],
      initializer: [
        {
          name,
          dims: [2n],
          data_type: 1,
          data_location: 1,
          external_data: Object.entries(place).map(([key, value]) => ({ key, value })),
        },
      ],
    },
  });

it("lists where external data lie", () => {
  const place = { location: "parts/model.bin", offset: "64", length: "8" };
  expect(onnxFacts(external(place), "f").externalData).toEqual([
    { tensor: "w", file: "parts/model.bin", offset: 64, length: 8 },
  ]);
  expect(onnxFacts(external({ location: "m" }), "f").externalData).toEqual([
    { tensor: "w", file: "m", offset: 0, length: null },
  ]);
});

it.each([
  [{ location: "/etc/passwd" }, "a relative path in the folder of the model, got /etc/passwd"],
  [{ location: "../model.bin" }, "a relative path in the folder of the model, got ../model.bin"],
  [{ location: "a\\..\\..\\b" }, "a relative path in the folder of the model"],
  [{ location: "C:model.bin" }, "a relative path in the folder of the model"],
  [{ offset: "0" }, "a relative path in the folder of the model, got none"],
  [{ location: "m", offset: "-1" }, "a number of bytes as offset, got -1"],
  [{ location: "m", length: "1e3" }, "a number of bytes as length, got 1e3"],
])("refuses external data at %j", (place, problem) => {
  expect(() => onnxFacts(external(place), "f")).toThrow(`f: external data of w: expected ${problem}`);
});

it("tells which file of external data is missing or too short", async () => {
  const folder = mkdtempSync(join(tmpdir(), "longhand-external-"));
  try {
    const path = join(folder, "model.onnx");
    writeFileSync(path, external({ location: "model.bin", offset: "4", length: "8" }));
    expect((await inspectOnnx(path)).problems).toEqual([`${path}: external data: there is no file model.bin`]);
    writeFileSync(join(folder, "model.bin"), new Uint8Array(11));
    expect((await inspectOnnx(path)).problems).toEqual([
      `${path}: external data: model.bin has 11 bytes, and 12 are needed`,
    ]);
    writeFileSync(join(folder, "model.bin"), new Uint8Array(12));
    expect((await inspectOnnx(path)).problems).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it("describes or refuses 10,000 changed ones", () => {
  let refused = 0;
  for (let i = 0; i < 10_000; i++) {
    const key = randomKey(1, `model ${i}`);
    let changed = Buffer.from(bytes);
    for (let k = 0; k < 3; k++) {
      const [at, kind, value] = [0, 1, 2].map((n) => randomUniform(key, 3 * k + n));
      const place = Math.floor(at * changed.length);
      if (kind < 0.8) changed[place] = Math.floor(256 * value);
      else if (kind < 0.9) changed = changed.subarray(0, place);
      else changed = Buffer.concat([changed.subarray(0, place), changed]);
    }
    try {
      expect(onnxFacts(changed, "f").bytes).toBe(changed.length);
    } catch (error) {
      expect(error, `${i}`).toBeInstanceOf(LonghandError);
      refused += 1;
    }
  }
  expect(refused).toBeGreaterThan(1000);
});

it("refuses messages in messages without end", () => {
  const field = (number: number, content: Uint8Array) => {
    const length: number[] = [];
    let rest = content.length;
    for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128);
    return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), content]);
  };
  let deep: Uint8Array = Buffer.of();
  for (let depth = 0; depth < 3000; depth++) deep = field(1, field(5, field(6, deep))); // node, attribute, graph
  const model = Buffer.concat([Buffer.of(8, 9), field(7, deep)]);
  try {
    expect(onnxFacts(model, "f").operators).toBe(1);
  } catch (error) {
    expect(error).toBeInstanceOf(LonghandError);
  }
});
