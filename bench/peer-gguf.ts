/**
 * A model of llama.cpp with random weights, as large as a FLASH preset: two FLASH layers have as many parameters as one layer of
 * attention and gated network. The format is GGUF 3: a header, fields by name, descriptions of tensors, their data.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { randomKey, randomNormals } from "../src/base/random.ts";
import { type PresetName, presets } from "../src/models/presets.ts";

/** Types of tensors: float32, and q8_0: 32 integers of 8 bits with a float16 scale. */
const TENSOR_TYPES = { float32: 0, q8_0: 8 } as const;
export type GgufWeights = keyof typeof TENSOR_TYPES;
/** Types of fields. */
const FIELDS = { int32: 5, uint32: 4, float32: 6, string: 8, array: 9 } as const;
const ALIGNMENT = 32;
const BLOCK = 32;
const HEAD = 64;
/** Kinds of tokens. */
const [NORMAL, UNKNOWN, CONTROL, BYTE] = [1, 2, 3, 6];

interface GgufOptions {
  readonly preset: PresetName;
  readonly vocabSize: number;
  /** Positions that the model is made for. */
  readonly context: number;
  readonly weights: GgufWeights;
}

/** Writes the file; returns how many parameters the model has. */
export function writeGguf(path: string, { preset, vocabSize, context, weights }: GgufOptions): number {
  const { width: d, layers, shared } = presets[preset];
  const hidden = BLOCK * Math.round((8 * d + 2 * shared) / 3 / BLOCK);
  const tensors = tensorsOf({ d, hidden, vocabSize, layers: layers / 2 });
  const fields = [
    stringField("general.architecture", "llama"),
    uintField("llama.context_length", context),
    uintField("llama.embedding_length", d),
    uintField("llama.block_count", layers / 2),
    uintField("llama.feed_forward_length", hidden),
    uintField("llama.attention.head_count", d / HEAD),
    uintField("llama.attention.head_count_kv", d / HEAD),
    floatField("llama.attention.layer_norm_rms_epsilon", 1e-5),
    uintField("llama.rope.dimension_count", HEAD),
    uintField("llama.vocab_size", vocabSize),
    ...vocabularyFields(vocabSize),
  ];
  let at = 0;
  const described = tensors.map(({ name, shape }) => {
    const type = shape.length === 1 ? "float32" : weights;
    const description = Buffer.concat([
      text(name),
      uint32(shape.length),
      ...[...shape].reverse().map(uint64),
      uint32(TENSOR_TYPES[type]),
      uint64(at),
    ]);
    const size = shape.reduce((product, n) => product * n, 1);
    at += aligned(type === "float32" ? 4 * size : (size / BLOCK) * (BLOCK + 2));
    return { description, type, size, vector: shape.length === 1 };
  });
  const head = Buffer.concat([
    Buffer.from("GGUF"),
    uint32(3),
    uint64(tensors.length),
    uint64(fields.length),
    ...fields,
    ...described.map(({ description }) => description),
  ]);
  const file = openSync(path, "w");
  try {
    writeSync(file, padded(head));
    for (const [i, { type, size, vector }] of described.entries())
      writeSync(file, padded(data(i, { type, size, vector })));
  } finally {
    closeSync(file);
  }
  return described.reduce((sum, { size }) => sum + size, 0);
}

interface Sizes {
  readonly d: number;
  readonly hidden: number;
  readonly vocabSize: number;
  readonly layers: number;
}

/** Shapes [rows, columns] of maps to `rows` features. */
function tensorsOf({
  d,
  hidden,
  vocabSize,
  layers,
}: Sizes): { readonly name: string; readonly shape: readonly number[] }[] {
  const ofLayer = (i: number) =>
    Object.entries({
      ...{ attn_norm: [d], attn_q: [d, d], attn_k: [d, d], attn_v: [d, d], attn_output: [d, d] },
      ...{ ffn_norm: [d], ffn_gate: [hidden, d], ffn_up: [hidden, d], ffn_down: [d, hidden] },
    }).map(([name, shape]) => ({ name: `blk.${i}.${name}.weight`, shape }));
  return [
    { name: "token_embd.weight", shape: [vocabSize, d] },
    ...Array.from({ length: layers }, (_, i) => ofLayer(i)).flat(),
    { name: "output_norm.weight", shape: [d] },
    { name: "output.weight", shape: [vocabSize, d] },
  ];
}

/** A vocabulary that no text is encoded with: three special tokens, the bytes, and names. */
function vocabularyFields(vocabSize: number): Buffer[] {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const first = ["<unk>", "<s>", "</s>", ...bytes];
  const tokens = Array.from({ length: vocabSize }, (_, i) => first[i] ?? `\u2581t${i}`);
  const kinds = tokens.map((_, i) => (i === 0 ? UNKNOWN : i < 3 ? CONTROL : i < first.length ? BYTE : NORMAL));
  return [
    stringField("tokenizer.ggml.model", "llama"),
    arrayField("tokenizer.ggml.tokens", FIELDS.string, tokens.map(text)),
    arrayField(
      "tokenizer.ggml.scores",
      FIELDS.float32,
      tokens.map((_, i) => float32(-i)),
    ),
    arrayField("tokenizer.ggml.token_type", FIELDS.int32, kinds.map(uint32)),
    uintField("tokenizer.ggml.bos_token_id", 1),
    uintField("tokenizer.ggml.eos_token_id", 2),
    uintField("tokenizer.ggml.unknown_token_id", 0),
  ];
}

function data(stream: number, { type, size, vector }: { type: GgufWeights; size: number; vector: boolean }): Buffer {
  if (vector) return bytesOf(new Float32Array(size).fill(1));
  const normals = randomNormals(randomKey(3, "weights", stream), size, 0.02);
  if (type === "float32") return bytesOf(normals);
  const blocks = Buffer.alloc((size / BLOCK) * (BLOCK + 2));
  const scale = 0x0800 | 0x0100; // a float16 near 0.0007: 127 of it are 0.08, four deviations
  for (let block = 0; block < size / BLOCK; block++) {
    const at = block * (BLOCK + 2);
    blocks.writeUInt16LE(scale, at);
    for (let i = 0; i < BLOCK; i++) {
      const rounded = Math.round((normals[block * BLOCK + i] / 0.08) * 127);
      blocks.writeInt8(Math.max(-127, Math.min(127, rounded)), at + 2 + i);
    }
  }
  return blocks;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);
const aligned = (size: number) => ALIGNMENT * Math.ceil(size / ALIGNMENT);
const padded = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)]);

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

const text = (value: string) => Buffer.concat([uint64(Buffer.byteLength(value)), Buffer.from(value)]);
const field = (name: string, type: number, value: Buffer) => Buffer.concat([text(name), uint32(type), value]);
const uintField = (name: string, value: number) => field(name, FIELDS.uint32, uint32(value));
const floatField = (name: string, value: number) => field(name, FIELDS.float32, float32(value));
const stringField = (name: string, value: string) => field(name, FIELDS.string, text(value));
const arrayField = (name: string, type: number, values: readonly Buffer[]) =>
  field(name, FIELDS.array, Buffer.concat([uint32(type), uint64(values.length), ...values]));
