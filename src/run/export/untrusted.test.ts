/**
 * Exports from anywhere: whatever was done to a file of one, reading it succeeds or tells what is wrong, and takes neither
 * long nor much memory. Half of the changed files have checksums that match them again.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { smallModel } from "../../../test/support/small-model.ts";
import { LonghandError } from "../../base/errors.ts";
import { sha256 } from "../../base/files.node.ts";
import { randomKey, randomUniform } from "../../base/random.ts";
import { encodeSafetensors } from "../../checkpoint/safetensors.ts";
import type { ExportConfig } from "../../config/export-config.ts";
import { weightFormats } from "../../config/export-settings.ts";
import { textInMemory } from "../../data/text-source.ts";
import { tokenizerFromJson, trainTokenizer } from "../../data/tokenizer.node.ts";
import { parametersOf } from "../../models/language-model.ts";
import { architectureNames } from "../../models/registry.ts";
import { initialise } from "../../nn/scope.ts";
import { decodeExportConfig, decodeTokenizer, encodeExportConfig } from "../../use/export-files.ts";
import { decodeWeights, encodeWeights } from "../../use/weights.ts";

const CASES = 10_000;
let json: string;
let configs: ExportConfig[];

beforeAll(async () => {
  const source = textInMemory("text", ["How much wood would a woodchuck chuck? ".repeat(9)]);
  const tokenizer = await trainTokenizer({ source, vocabSize: 265, seed: 1 });
  json = tokenizer.json;
  configs = architectureNames().map((name) => ({
    ...{ longhand: "0.1.0", step: 3, tokenizerDigest: tokenizer.digest },
    model: { ...smallModel(name, { context: 32, vocabSize: tokenizer.vocabSize, causal: true }), layers: 1 },
    training: { objective: "causal", context: 32, documents: "joined", carry: false },
    files: { "tokenizer.json": { bytes: json.length, sha256: "ab".repeat(32) } },
  }));
});

/** Random numbers from 0 to 1 of a case, as many as are asked for. */
function randomOf(kind: string, index: number): () => number {
  const key = randomKey(1, `${kind} ${index}`);
  let count = 0;
  return () => randomUniform(key, count++);
}

/** Bytes with up to three bits or bytes changed, cut out or put in, within the first `length`. */
function changedBytes(bytes: Uint8Array, length: number, random: () => number): Uint8Array {
  let changed = Buffer.from(bytes);
  for (let k = 0; k <= Math.floor(3 * random()); k++) {
    const [at, kind, value] = [Math.floor(random() * length), random(), Math.floor(256 * random())];
    if (kind < 0.4) changed[at] ^= 1 << (value & 7);
    else if (kind < 0.7) changed[at] = value;
    else if (kind < 0.8) changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + 1 + (value & 15))]);
    else if (kind < 0.9) changed = Buffer.concat([changed.subarray(0, at), Buffer.of(value), changed.subarray(at)]);
    else changed = changed.subarray(0, at);
  }
  return changed;
}

const STRANGE: readonly unknown[] = [
  ...[null, true, "", "x", "../../etc/passwd", "constructor", "__proto__", [], {}, [[]], { length: 1 }],
  ...[0, -0, -1, 0.5, 1, 2, 3, 7, 31, 64, 1e3, 1e5, 1e6, 2 ** 31, 2 ** 32, 2 ** 53, 1e300, -1e300],
  ...architectureNames(),
  ...["own", "normal", "learned", "masked", "separate", "local", "softmax", "layer", [1, 1e9], [-1, 2]],
];

/** A value of JSON with one value anywhere in it replaced, removed or added. */
function changedValue(value: unknown, random: () => number): unknown {
  const strange = () => STRANGE[Math.floor(STRANGE.length * random())];
  if (typeof value !== "object" || value === null || random() < 0.02) return strange();
  if (Array.isArray(value)) {
    const at = Math.floor(value.length * random());
    return value.toSpliced(at, random() < 0.5 ? 1 : 0, changedValue(value[at], random));
  }
  const entries = Object.entries(value);
  const at = Math.floor(entries.length * random());
  const kind = random();
  if (kind < 0.1) entries.splice(at, 1);
  else if (kind < 0.2) entries.push([String(strange()), strange()]);
  else if (entries.length > 0) entries[at] = [entries[at][0], changedValue(entries[at][1], random)];
  return Object.fromEntries(entries);
}

/** Runs what reads each changed case. Anything but success or a LonghandError fails; so do more than 400 MB. */
function tryAll(kind: string, read: (random: () => number, index: number) => void): { good: number; refused: number } {
  const before = process.resourceUsage().maxRSS;
  const outcomes = { good: 0, refused: 0 };
  let longest = 0;
  for (let i = 0; i < CASES; i++) {
    const began = performance.now();
    try {
      read(randomOf(kind, i), i);
      outcomes.good += 1;
    } catch (error) {
      expect(error, `${kind} ${i}: ${(error as Error).stack}`).toBeInstanceOf(LonghandError);
      expect((error as Error).message).not.toContain("\n");
      outcomes.refused += 1;
    }
    longest = Math.max(longest, performance.now() - began);
  }
  expect(longest, "milliseconds of the longest case").toBeLessThan(5000);
  expect((process.resourceUsage().maxRSS - before) / 1e3, "MB").toBeLessThan(400);
  return outcomes;
}

describe("10,000 changed files of each kind are read or refused", { timeout: 240_000 }, () => {
  it("config.json, with the weights that belong to it", () => {
    const weights = configs.map(({ model }) => {
      const parameters = initialise(parametersOf(model), 1);
      return Buffer.concat(encodeWeights(parameters, model, { format: "float32", where: "model" }).chunks);
    });
    const outcomes = tryAll("config", (random, i) => {
      const which = i % configs.length;
      const own = configs[which];
      const sealed = random() < 0.8;
      const twice = (value: unknown) => (random() < 0.3 ? changedValue(value, random) : value);
      const changed = sealed ? (twice(changedValue(own, random)) as ExportConfig) : own;
      const bytes = Buffer.from(encodeExportConfig(changed));
      const text = (sealed ? bytes : Buffer.from(changedBytes(bytes, bytes.length, random))).toString();
      const config = decodeExportConfig(text, "config.json");
      decodeWeights(weights[which], config.model, "model.safetensors");
    });
    expect(outcomes.good).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(5000);
  });

  it("model.safetensors", () => {
    const [{ model }] = configs;
    const parameters = initialise(parametersOf(model), 1);
    const files = weightFormats.map((format) =>
      Buffer.concat(encodeWeights(parameters, model, { format, where: "model" }).chunks),
    );
    const outcomes = tryAll("weights", (random, i) => {
      const bytes = files[i % files.length];
      const head = 8 + Number(bytes.readBigUInt64LE());
      let changed: Uint8Array;
      if (random() < 0.5) changed = changedBytes(bytes, random() < 0.7 ? head : bytes.length, random);
      else {
        const header = changedValue(JSON.parse(bytes.subarray(8, head).toString()), random);
        const text = Buffer.from(JSON.stringify(header));
        const length = Buffer.alloc(8);
        length.writeBigUInt64LE(BigInt(text.length));
        changed = Buffer.concat([length, text, bytes.subarray(head)]);
      }
      const { parameters: read } = decodeWeights(changed, model, "model.safetensors");
      for (const { data } of Object.values(read)) expect(data.every(Number.isFinite)).toBe(true);
    });
    expect(outcomes.good).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(5000);
  });

  it("tokenizer.json", () => {
    const [config] = configs;
    const outcomes = tryAll("tokenizer", (random) => {
      const bytes =
        random() < 0.5
          ? changedBytes(Buffer.from(json), Buffer.byteLength(json), random)
          : Buffer.from(JSON.stringify(changedValue(JSON.parse(json), random)));
      const tokenizerDigest = sha256(Buffer.from(bytes).toString());
      decodeTokenizer(bytes, { ...config, tokenizerDigest }, { file: "tokenizer.json", tokenizer: tokenizerFromJson });
    });
    expect(outcomes.good).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(1000);
  });
});

it("takes no memory and no time for sizes that no model has", () => {
  const sizes = [2 ** 22 + 1, 2 ** 31, 2 ** 53 - 1];
  for (const { model, ...config } of configs) {
    const fields = Object.keys(model).filter((field) => typeof model[field] === "number" && !/seed$/i.test(field));
    for (const field of fields) {
      for (const size of sizes) {
        const training = { ...config.training, context: 2 ** 53 - 2 };
        const text = encodeExportConfig({ ...config, training, model: { ...model, [field]: size } });
        expect(() => decodeExportConfig(text, "f"), `${model.architecture} ${field}`).toThrow(LonghandError);
      }
    }
  }
});

it("takes no memory for what a header only says", () => {
  const huge = { t: { dtype: "F16", shape: [2 ** 40], data_offsets: [0, 2 ** 41] } };
  const text = Buffer.from(JSON.stringify(huge));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(text.length));
  expect(() => decodeWeights(Buffer.concat([head, text]), configs[0].model, "f")).toThrow(
    /^f: tensor "t": data_offsets \[0,2199023255552\] reach beyond the 0 bytes after the header$/,
  );
  const empty = Buffer.concat(encodeSafetensors({}));
  expect(() => decodeWeights(empty, configs[0].model, "f")).toThrow(
    /^f: expected the tensors of 1 layers, got 0 tensors$/,
  );
});
