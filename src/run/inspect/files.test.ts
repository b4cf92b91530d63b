/** ONNX models from anywhere: whatever was done to one, it is described or refused. */
import { expect, it } from "vitest";
import { LonghandError } from "../../base/errors.ts";
import { randomKey, randomUniform } from "../../base/random.ts";
import { program } from "../../graph/program.ts";
import { input } from "../../graph/tensor.ts";
import { toOnnx } from "../../onnx/model.ts";
import { onnxFacts } from "./files.ts";

const x = input("x", [2, 3]);
const { bytes } = toOnnx(program("product", { y: x.matmul(x.swapLast()).add(x.constant(2)) }));

it("describes a model", () => {
  expect(onnxFacts(bytes, "f")).toMatchObject({ inputs: ["x"], outputs: ["y"], operators: 3, bytes: bytes.length });
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
