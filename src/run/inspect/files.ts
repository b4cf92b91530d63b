/** What is to be said of single files: safetensors, among them adapters, a tokenizer.json, an ONNX model. */
import { open, stat } from "node:fs/promises";
import { LonghandError, messageOf } from "../../base/errors.ts";
import { readFully } from "../../base/files.node.ts";
import { sizeOf } from "../../base/shape.ts";
import { readAtMost } from "../../checkpoint/read.node.ts";
import { decodeSafetensors } from "../../checkpoint/safetensors.ts";
import { headerBytes, readSafetensorsHeader, type SafetensorsHeader } from "../../checkpoint/safetensors-header.ts";
import { loadTokenizer } from "../../data/tokenizer.node.ts";
import { decodeModel, type Proto } from "../../onnx/schema.ts";
import { ADAPTER_FORMAT, adapterProblem } from "../use/adapter.ts";
import { type ExternalPlace, externalPlaces, externalProblems } from "./external-data.ts";
import type { Facts } from "./models.ts";

interface File {
  readonly kind: "adapter" | "tokenizer" | "safetensors" | "onnx";
  readonly facts: Facts;
  readonly problems?: readonly string[];
}

/** Adapters are read whole, for their checksum. */
const LARGEST_ADAPTER = 2 ** 31;
/** Of protobuf. */
const LARGEST_ONNX = 2 ** 31;
const LARGEST_TOKENIZER = 2 ** 28;

export async function inspectSafetensors(path: string): Promise<File> {
  const { size } = await stat(path);
  const header = await headerOf(path, size);
  const places = Object.values(header.places);
  const dtypes: Record<string, number> = {};
  for (const { dtype, bytes } of places) dtypes[dtype] = (dtypes[dtype] ?? 0) + bytes;
  const elements = places.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const { metadata } = header;
  const facts = { tensors: places.length, elements, bytesByType: dtypes, bytes: size };
  if (metadata.format !== ADAPTER_FORMAT)
    return { kind: "safetensors", facts: { ...facts, metadata: { ...metadata } } };
  const { base, rank, alpha } = metadata;
  const file = decodeSafetensors(await readAtMost(path, LARGEST_ADAPTER), path);
  const problem = adapterProblem(file);
  return { kind: "adapter", facts: { ...facts, rank, alpha, base }, problems: problem ? [`${path}: ${problem}`] : [] };
}

/** Reads no more of the file than its header. */
async function headerOf(path: string, size: number): Promise<SafetensorsHeader> {
  const file = await open(path, "r");
  try {
    const length = new Uint8Array(Math.min(8, size));
    await readFully(file, length, 0);
    const head = new Uint8Array(headerBytes(length, size, path));
    await readFully(file, head, 0);
    return readSafetensorsHeader(head, size, path);
  } finally {
    await file.close();
  }
}

export async function inspectTokenizer(path: string): Promise<File> {
  const { size: bytes } = await stat(path);
  if (bytes > LARGEST_TOKENIZER)
    throw new LonghandError("data", `${path}: ${bytes} bytes are too many for a tokenizer`);
  const { vocabSize, digest, special } = await loadTokenizer(path);
  return { kind: "tokenizer", facts: { vocabulary: vocabSize, digest, special, bytes } };
}

export async function inspectOnnx(path: string): Promise<File> {
  const facts = onnxFacts(await readAtMost(path, LARGEST_ONNX), path);
  return { kind: "onnx", facts, problems: await externalProblems(facts.externalData ?? [], path) };
}

/** Throws "checkpoint" for bytes that are no ONNX model, and for one with data outside of its folder. */
export function onnxFacts(
  bytes: Uint8Array,
  path: string,
): Facts & { readonly externalData?: readonly ExternalPlace[] } {
  let model: Proto<"ModelProto">;
  try {
    model = decodeModel(bytes);
  } catch (error) {
    throw new LonghandError("checkpoint", `${path}: it is no ONNX model, or damaged (${messageOf(error)})`, {
      cause: error,
    });
  }
  const { graph = {}, producer_name, opset_import = [] } = model;
  const { node = [], input = [], output = [], initializer = [] } = graph;
  if (node.length === 0) throw new LonghandError("checkpoint", `${path}: it is no ONNX model: it has no operators`);
  const kinds = new Set(node.map(({ domain, op_type }) => (domain ? `${domain}.${op_type}` : op_type)));
  const operatorSets = opset_import.map(({ domain, version }) => `${domain || "ai.onnx"} ${version}`);
  const names = (values: readonly Proto<"ValueInfoProto">[]) => values.map(({ name }) => name);
  const counted = { operators: node.length, kinds: [...kinds].sort(), initialisers: initializer.length };
  const facts = {
    operatorSets,
    inputs: names(input),
    outputs: names(output),
    ...counted,
  };
  const externalData = externalPlaces(graph, path);
  return {
    ...(producer_name && { producer: producer_name }),
    ...facts,
    bytes: bytes.length,
    ...(externalData.length > 0 && { externalData }),
  };
}
