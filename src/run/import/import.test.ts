/** Models of lucidrains/FLASH-pytorch: equal logits, and one sentence for each thing that cannot be taken over. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../test/support/compare.ts";
import type { HostTensor } from "../../base/dtype.ts";
import { LonghandError } from "../../base/errors.ts";
import { randomKey, randomUint32 } from "../../base/random.ts";
import { decodeSafetensors, encodeSafetensors } from "../../checkpoint/safetensors.ts";
import { program } from "../../graph/program.ts";
import { input } from "../../graph/tensor.ts";
import { languageModel, logitsOf } from "../../models/language-model.ts";
import { Scope } from "../../nn/scope.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";
import { loadModel } from "../use/model.ts";
import { bucketOf, fromFlashPytorch } from "./flash-pytorch.ts";
import { type ImportOptions, importModel } from "./import.ts";
import { parseOptions } from "./options.ts";

const folder = mkdtempSync(join(tmpdir(), "longhand-import-"));
const engine = ortNodeEngine({ threads: 2 });
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await engine.close();
});

function fixture(name: string) {
  const file = join(import.meta.dirname, "../../../test/fixtures/flash-pytorch", `${name}.safetensors`);
  const { tensors, metadata } = decodeSafetensors(readFileSync(file), name);
  const { tokens, logits, ...state } = tensors;
  return { tokens, logits, state, metadata };
}

const causal = fixture("causal");

let files = 0;
/** The path of a file with these tensors. */
function saved(
  tensors: Record<string, HostTensor>,
  metadata: Readonly<Record<string, string>> = causal.metadata,
): string {
  const path = join(folder, `state-${files++}.safetensors`);
  writeFileSync(path, Buffer.concat(encodeSafetensors(tensors, metadata)));
  return path;
}

const importAs = (path: string, options: Partial<ImportOptions> = {}) =>
  importModel(path, { out: join(folder, `out-${files++}`), tokenizer: "bytes", ...options });

describe("a model of FLASH-pytorch", () => {
  it.each(["causal", "bidirectional"])("gives that library's logits, %s", async (name) => {
    const { tokens, logits, state, metadata } = fixture(name);
    const { model, parameters } = fromFlashPytorch(state, parseOptions({}, metadata), name);
    const hidden = languageModel(new Scope(), input("tokens", tokens.shape, "int32"), model);
    const forward = await engine.compile(program("imported", { logits: logitsOf(hidden) }));
    const values = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
    const { logits: ours } = await forward.run({ ...values, tokens: tokens.data });
    expectClose(ours as Float32Array, logits.data as Float32Array, { name, tolerance: 1e-5, shape: logits.shape });
    await forward.release();
  });

  it("is decoded with the same logits, and never writes a token that it does not know", async () => {
    const { out, config } = await importAs(saved(causal.state));
    expect(config.model).toMatchObject({ vocabSize: 259, rotaryWidth: 32, finalNorm: "layer", chunk: 16 });
    const model = await loadModel(out, { threads: 2 });
    const decoder = await model.decoders.take();
    const T = causal.tokens.data.length;
    for (let t = 0; t < T; t++) {
      const row = (causal.logits.data as Float32Array).subarray(256 * t, 256 * (t + 1));
      const logits = await decoder.step(causal.tokens.data[t]);
      expectClose(logits.subarray(0, 256), row, { name: `token ${t}`, tolerance: 1e-5 });
      expect(Math.max(...logits.subarray(256))).toBeLessThan(-1000);
    }
    const { special } = model.tokenizer;
    expect([await model.tokenizer.encode("é\n"), special]).toEqual([
      Int32Array.of(0xc3, 0xa9, 10),
      { endOfText: 256, padding: 257, mask: 258 },
    ]);
    await decoder.release();
    await model.close();
  });

  it("may be wrapped, and without the tensors that its layers share", async () => {
    const entries = Object.entries(causal.state).filter(([name]) => !/layers\.1\.rotary/.test(name));
    const wrapped = Object.fromEntries(entries.map(([name, tensor]) => [`net.${name}`, tensor]));
    const plain = await importAs(saved(causal.state));
    const again = await importAs(saved(wrapped));
    expect(readFileSync(join(again.out, "model.safetensors"))).toEqual(
      readFileSync(join(plain.out, "model.safetensors")),
    );
  });

  it("has T5's buckets, on their borders too", () => {
    expect([0, 15, 16, 32, 127, 128, 500].map((n) => bucketOf(n, true))).toEqual([0, 15, 16, 21, 31, 31, 31]);
    expect([7, 8, 16, 32, 64, 128].map((n) => bucketOf(n, false))).toEqual([7, 8, 10, 12, 14, 15]);
    expect([-1, -8, -16].map((n) => bucketOf(n, false))).toEqual([17, 24, 26]);
  });
});

describe("a file that is not trusted", () => {
  it("of 10,000 whose header is changed, each is read or refused by a sentence", { timeout: 120_000 }, () => {
    const whole = Buffer.concat(encodeSafetensors(causal.state, causal.metadata));
    const header = Number(whole.readBigUInt64LE(0));
    const refused: Record<string, number> = {};
    for (let i = 0; i < 10_000; i++) {
      const random = (n: number, draw: number) => randomUint32(randomKey(1, "mutations", i), draw) % n;
      const bytes = Buffer.from(whole);
      for (let change = 0; change <= random(3, 0); change++) {
        const at = 8 + random(header, 3 * change + 1);
        const digit = 48 + random(10, 3 * change + 2);
        bytes[at] = random(2, 3 * change + 3) === 0 ? digit : bytes[at] ^ (1 << (digit % 8));
      }
      try {
        const { tensors, metadata } = decodeSafetensors(bytes, "file");
        fromFlashPytorch(tensors, parseOptions({}, metadata), "file");
      } catch (error) {
        if (!(error instanceof LonghandError)) throw error;
        refused[error.code] = (refused[error.code] ?? 0) + 1;
      }
    }
    expect(Object.keys(refused).sort()).toEqual(["checkpoint", "usage"]);
    expect(refused.checkpoint).toBeGreaterThan(8000);
  });
});

describe("what cannot be taken over is told", () => {
  const without = (name: string) => Object.fromEntries(Object.entries(causal.state).filter(([own]) => own !== name));
  const floats = (shape: readonly number[]): HostTensor => {
    return { dtype: "float32", shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) };
  };
  const files: readonly (readonly [what: string, tensors: Record<string, HostTensor>, message: RegExp])[] = [
    ["a missing tensor", without("layers.1.to_out.bias"), /tensor layers\.1\.to_out\.bias is missing/],
    [
      "another model",
      { weight: floats([2, 2]) },
      /tensor token_emb\.weight: expected 2 axes, got none; a state dict of/,
    ],
    ["a tensor too many", { ...causal.state, more: floats([1]) }, /tensor more does not belong to this model/],
    [
      "another shape",
      { ...causal.state, "layers.0.norm.g": floats([2]) },
      /layers\.0\.norm\.g: expected float32\[1\], got/,
    ],
    [
      "other frequencies",
      { ...causal.state, "layers.0.rotary_pos_emb.freqs": floats([16]) },
      /expected the 16 frequencies/,
    ],
    [
      "no numbers",
      { ...causal.state, "to_logits.0.bias": { ...floats([16]), data: new Float32Array(16).fill(Number.NaN) } },
      /is NaN/,
    ],
  ];
  it.each(files)("%s", async (_, tensors, message) => {
    await expect(importAs(saved(tensors))).rejects.toMatchObject({ code: "checkpoint", message });
  });

  const options: readonly (readonly [option: object, message: RegExp])[] = [
    [{ group_siz: 8 }, /option group_siz: expected one of .*did you mean group_size/],
    [{ causal: "yes" }, /option causal "yes": expected True or False/],
    [{ dim: 32 }, /option dim: expected 16, as the weights have it, got 32/],
    [{ norm_type: "layernorm" }, /option norm_type: expected scalenorm, as the weights have it/],
    [{ group_size: 512 }, /option group_size: expected less than 512, got 512/],
    [{ causal: false, reduce_group_non_causal_attn: false }, /option reduce_group_non_causal_attn: expected True/],
  ];
  it.each(options)("%o", async (given, message) => {
    await expect(importAs(saved(causal.state), { options: given })).rejects.toMatchObject({ code: "usage", message });
  });

  it("a tokenizer of another size, and a context shorter than a group", async () => {
    const small = fixture("bidirectional");
    const path = saved(small.state, small.metadata);
    await expect(importAs(path)).rejects.toMatchObject({
      code: "data",
      message: /expected the 20 tokens of the model, got 256/,
    });
    const short = importAs(saved(causal.state), { context: 8 });
    await expect(short).rejects.toMatchObject({ code: "usage", message: /does not fit a context of 8/ });
  });
});
