/** Says what a path is: a run, an export, an adapter, token shards, a tokenizer, a safetensors or an ONNX file. */
import { statSync } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { LonghandError } from "../../base/errors.ts";
import { readFully } from "../../base/files.node.ts";
import { checkpointReadError } from "../../checkpoint/read.node.ts";
import { folderFormat, isRunFolder } from "../../checkpoint/run-folder.node.ts";
import { EXPORT_FORMAT } from "../../use/export-files.ts";
import { inspectShards } from "../data/inspect.ts";
import { preparedParts } from "../data/run-tokens.ts";
import { inspectOnnx, inspectSafetensors, inspectTokenizer } from "./files.ts";
import { type Facts, inspectExport, inspectRun } from "./models.ts";

export type InspectedKind = "run" | "export" | "adapter" | "shards" | "tokenizer" | "safetensors" | "onnx";

export interface Inspected {
  readonly kind: InspectedKind;
  readonly path: string;
  /** By name: sizes in bytes, counts, and what else there is to say. */
  readonly facts: Facts;
  /** What is damaged, a sentence each; none where every checksum holds. */
  readonly problems: readonly string[];
}

/** Throws "checkpoint" or "data" for what cannot be read, and for what is none of these. */
export async function inspectPath(path: string): Promise<Inspected> {
  const status = await stat(path).catch((error) => {
    throw checkpointReadError(error, path);
  });
  const { kind, facts, problems = [] } = await (status.isDirectory() ? inspectFolder(path) : inspectFile(path));
  return { kind, path, facts, problems };
}

type Found = Pick<Inspected, "kind" | "facts"> & Partial<Inspected>;

async function inspectFolder(path: string): Promise<Found> {
  if ((await folderFormat(path)) === EXPORT_FORMAT) return { kind: "export", ...(await inspectExport(path)) };
  if (await isRunFolder(path)) return { kind: "run", ...(await inspectRun(path)) };
  if (preparedParts(path) !== undefined) return { kind: "shards", facts: await shardFacts(path) };
  const names = (await readdir(path)).slice(0, 5);
  const holds = names.length === 0 ? "nothing" : names.join(", ");
  throw unknown(path, `a folder that holds ${holds}`);
}

async function shardFacts(path: string): Promise<Facts> {
  const facts: Record<string, unknown> = {};
  for (const { split, tokens, documents, bytes, words, vocabSize, tokenizerDigest } of await inspectShards(path)) {
    facts[split] = { tokens, documents, words, textBytes: bytes };
    Object.assign(facts, { vocabulary: vocabSize, tokenizer: tokenizerDigest });
  }
  return facts;
}

/** Enough to tell the kinds of files apart. */
const BEGINNING = 16;

async function inspectFile(path: string): Promise<Found> {
  const beginning = new Uint8Array(BEGINNING);
  const file = await open(path, "r");
  const read = await readFully(file, beginning, 0).finally(() => file.close());
  const text = Buffer.from(beginning.subarray(0, read)).toString("latin1");
  // A header of a safetensors file follows 8 bytes of its length.
  if (text[8] === "{" && beginning.subarray(4, 8).every((byte) => byte === 0)) return inspectSafetensors(path);
  if (text.trimStart().startsWith("{")) return inspectTokenizer(path);
  if (text.startsWith("LONGHAND")) throw unknown(path, "one of the files of token shards: give their folder");
  // The first field of an ONNX model is the version of its format, a small number.
  if (beginning[0] === 0x08) return inspectOnnx(path);
  throw unknown(path, `a file of ${statSync(path).size} bytes`);
}

function unknown(path: string, what: string): LonghandError {
  const known = "a run, an export, an adapter, token shards, a tokenizer.json, a safetensors or an ONNX file";
  return new LonghandError("checkpoint", `${path}: expected ${known}, got ${what}`);
}
