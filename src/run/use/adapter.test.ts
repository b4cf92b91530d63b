/** Adapters as files: what is written is read, and a file that anyone has changed is refused, whatever was done to it. */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { smallModel } from "../../../test/support/small-model.ts";
import { LonghandError } from "../../base/errors.ts";
import { randomKey, randomUniform } from "../../base/random.ts";
import { encodeSafetensors } from "../../checkpoint/safetensors.ts";
import { withAdapters } from "../../models/adapters.ts";
import { parametersOf } from "../../models/language-model.ts";
import { initialise } from "../../nn/scope.ts";
import { adapterTypes, decodeAdapter, readAdapter, writeAdapter } from "./adapter.ts";

const folder = mkdtempSync(join(tmpdir(), "longhand-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const model = smallModel("flash", { context: 32, vocabSize: 24, causal: true });
const config = { rank: 2, alpha: 3 };
const declared = parametersOf(model, { adapter: config });
const values = initialise(declared, 1);
const tensors = Object.fromEntries(Object.keys(adapterTypes(model, config)).map((path) => [path, values[path]]));
const base = "ab".repeat(32);
const of = { path: "runs/base", model, bases: ["cd".repeat(32), base] };
await writeAdapter(folder, { config, base, tensors });
const file = join(folder, "adapter.safetensors");
const bytes = readFileSync(file);

it("reads what was written, from the file or its folder", async () => {
  for (const path of [file, folder]) {
    const read = await readAdapter(path, of);
    expect(read).toMatchObject({ path: file, config, base });
    expect(Object.keys(read.tensors)).toEqual(Object.keys(tensors));
    for (const path in tensors) expect(read.tensors[path].data).toEqual(tensors[path].data);
  }
  expect(bytes.length).toBeLessThan(4 * declared.reduce((sum, { tensor }) => sum + tensor.size, 0));
});

it("adds up adapters of different ranks, each with its own scale", () => {
  const map = { dtype: "float32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) } as const;
  const pair = (a: number[], b: number[], alpha: number) => {
    const rank = a.length / 2;
    const tensor = (shape: number[], data: number[]) =>
      ({ dtype: "float32", shape, data: Float32Array.from(data) }) as const;
    return {
      config: { rank, alpha },
      tensors: { "w.adapter.a": tensor([2, rank], a), "w.adapter.b": tensor([rank, 2], b) },
    };
  };
  const { w, other } = withAdapters({ w: map, other: map }, [
    pair([1, 2], [10, 20], 2),
    pair([1, 0, 0, 1], [1, 2, 3, 4], 1),
  ]);
  // 2 [1, 2]ᵀ [10, 20] and half of [[1, 2], [3, 4]]
  expect([...w.data]).toEqual([1 + 20 + 0.5, 2 + 40 + 1, 3 + 40 + 1.5, 4 + 80 + 2]);
  expect(other).toBe(map);
  expect([...map.data]).toEqual([1, 2, 3, 4]);
});

describe("a file that is not what was written", () => {
  const decode = (changed: Uint8Array) => decodeAdapter(changed, "file", of);

  it("is refused at every length at which it can be cut", () => {
    for (let length = 0; length < bytes.length; length += length < 2000 ? 1 : 97) {
      expect(() => decode(bytes.subarray(0, length)), `${length}`).toThrow(LonghandError);
    }
  });

  it("is refused or the same, in 10,000 mutations", () => {
    const head = 8 + Number(bytes.readBigUInt64LE());
    let same = 0;
    for (let i = 0; i < 10_000; i++) {
      const key = randomKey(1, `mutation ${i}`);
      const random = Array.from({ length: 12 }, (_, index) => randomUniform(key, index));
      const changed = Buffer.from(bytes);
      for (let k = 0; k <= Math.floor(3 * random[0]); k++) {
        const at = Math.floor(random[1 + k] * (random[11] < 0.8 ? head : bytes.length));
        const [kind, value] = [random[4 + k], random[7 + k]];
        changed[at] = kind < 0.5 ? changed[at] ^ (1 << Math.floor(8 * value)) : Math.floor(256 * value);
      }
      try {
        const read = decode(changed);
        same += 1;
        expect([read.config, read.base]).toEqual([config, base]);
        for (const path in tensors) expect(read.tensors[path].data).toEqual(tensors[path].data);
      } catch (error) {
        expect(error, `mutation ${i}`).toBeInstanceOf(LonghandError);
        expect((error as LonghandError).code).toBe("checkpoint");
      }
    }
    expect(same).toBeLessThan(500); // mutations that change nothing, or the space after the header
  });

  it("is refused with a checksum of its own but tensors of another model, or a rank that there cannot be", async () => {
    const wider = smallModel("flash", { context: 32, vocabSize: 24, causal: true });
    const other = { ...wider, layers: wider.layers + 1 };
    expect(() => decodeAdapter(bytes, "file", { ...of, model: other })).toThrow(
      /^file: tensor layers\.\d.* is missing$/,
    );
    await writeAdapter(folder, { config: { rank: 0, alpha: 1 }, base, tensors });
    await expect(readAdapter(folder, of)).rejects.toThrow(/expected a rank and an alpha, got 0 and 1$/);
    await writeAdapter(folder, { config: { rank: 3, alpha: 3 }, base, tensors });
    await expect(readAdapter(folder, of)).rejects.toThrow(/expected float32\[32, 3\], got float32\[32, 2\]$/);
  });

  it("is refused before memory is taken for it, when it is larger than any adapter", async () => {
    const large = join(folder, "large");
    writeFileSync(large, bytes);
    truncateSync(large, 2 ** 34); // a hole
    await expect(readAdapter(large, of)).rejects.toThrow(/large: 17179869184 bytes long, and it can have \d+ at most$/);
  });

  it("is refused beside other parameters, whatever their shapes", () => {
    const sentence =
      "file: it was trained beside other parameters than those of runs/base; give it to the model that it was";
    for (const other of [model, { ...model, width: 16 }]) {
      expect(() => decodeAdapter(bytes, "file", { ...of, model: other, bases: ["cd"] })).toThrow(sentence);
    }
  });

  it("is refused without metadata", () => {
    const plain = Buffer.concat(encodeSafetensors(tensors));
    expect(() => decode(plain)).toThrow("file: it is no adapter that Longhand has trained");
  });
});
