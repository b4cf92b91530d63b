/**
 * The files of a folder of token shards, all numbers little-endian. `shard-00000.bin` and on:
 *
 *     0  8 bytes   magic "LONGHAND"          48  32 bytes  SHA-256 of everything after the header
 *     8  uint32    format version, 1         80  32 bytes  SHA-256 of the tokenizer.json
 *    12  uint32    bytes of a token, 2 or 4 112  32 bytes  SHA-256 of bytes 0 … 111
 *    16  uint64    tokens in this shard     144  tokens, uint16 or uint32
 *    24  uint64    documents beginning here  …   uint64    first token of each such document, in the whole sequence
 *    32  uint64    tokens in the shards before
 *    40  uint32    vocabulary size
 *    44  uint32    number of this shard, from 0
 *
 * `tokenizer.json` is the tokenizer. `index.json`, written last, has the totals, where the text came from, the size of
 * each shard and a checksum of itself; a folder without it is an interrupted preparation.
 */
import { decodeCheckedJson, encodeCheckedJson, isCount, isRecord, type Refuse } from "../base/checked-json.ts";
import { LonghandError } from "../base/errors.ts";
import { sha256Hex } from "../base/sha256.ts";

export const HEADER_BYTES = 144;
export const INDEX_FILE = "index.json";
export const TOKENIZER_FILE = "tokenizer.json";
/** The journal of a preparation that is not finished: shard-journal.node.ts. */
export const JOURNAL_FILE = "progress.json";
const VERSION = 1;
const MAGIC = "LONGHAND";

/** What one shard holds, as index.json and the journal say it. */
export interface ShardPart {
  readonly tokens: number;
  /** Documents that begin in it. */
  readonly documents: number;
  /** SHA-256 of the tokens and, once the shard is finished, of the document starts after them; hexadecimal. */
  readonly checksum: string;
}

export interface ShardHeader extends ShardPart {
  /** Bytes of a token: 2 for vocabularies up to 65,536 tokens, else 4. */
  readonly width: 2 | 4;
  /** Tokens in the shards before. */
  readonly firstToken: number;
  readonly vocabSize: number;
  readonly number: number;
  readonly tokenizerDigest: string;
}

/** Where the text of shards came from, so that it can be prepared again. */
export interface ShardOrigin {
  /** Path, several paths, or address on the hub with the commit. */
  readonly data: string | readonly string[];
  readonly split?: string;
  /** Field or column of the text, where it was chosen. */
  readonly field?: string;
  /** How much of it was taken, where that was limited: "100MB", "1000docs". */
  readonly limit?: string;
  /** What the tokenizer was trained with, where that belongs to the preparation. */
  readonly vocab?: number;
  readonly seed?: number;
}

export interface ShardIndex {
  readonly tokenizerDigest: string;
  readonly vocabSize: number;
  readonly tokens: number;
  readonly documents: number;
  /** Bytes of UTF-8, code points and white-space-separated words of all the text. */
  readonly bytes: number;
  readonly characters: number;
  readonly words: number;
  readonly origin?: ShardOrigin;
  readonly shards: readonly ShardPart[];
}

export function shardFile(number: number): string {
  return `shard-${String(number).padStart(5, "0")}.bin`;
}

/** Whether a file of this name is made by the shard writer, finished or not. */
export function isShardFile(name: string): boolean {
  return /^(shard-\d{5,}\.bin|index\.json|tokenizer\.json|progress\.json)(\.tmp)?$/.test(name);
}

/** SHA-256 of all tokens and document starts, by way of the checksums of the shards; 64 hexadecimal digits. */
export function digestOfShards(shards: readonly ShardPart[]): string {
  return sha256Hex(shards.map(({ checksum }) => checksum).join());
}

export function shardFileBytes(header: Pick<ShardHeader, "width" | "tokens" | "documents">): number {
  return HEADER_BYTES + header.width * header.tokens + 8 * header.documents;
}

export function tokenWidth(vocabSize: number): 2 | 4 {
  return vocabSize <= 65_536 ? 2 : 4;
}

/** An error about a file of a finished or unfinished folder that is not as it was written. */
export function damaged(path: string, problem: string): LonghandError {
  return new LonghandError("data", `shards: ${path} is damaged: ${problem}; prepare the text again`);
}

export function encodeHeader(header: ShardHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint32(8, VERSION, true);
  view.setUint32(12, header.width, true);
  view.setBigUint64(16, BigInt(header.tokens), true);
  view.setBigUint64(24, BigInt(header.documents), true);
  view.setBigUint64(32, BigInt(header.firstToken), true);
  view.setUint32(40, header.vocabSize, true);
  view.setUint32(44, header.number, true);
  bytes.set(bytesOfHex(header.checksum), 48);
  bytes.set(bytesOfHex(header.tokenizerDigest), 80);
  bytes.set(bytesOfHex(sha256Hex(bytes.subarray(0, 112))), 112);
  return bytes;
}

function bytesOfHex(digits: string): Uint8Array {
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

/** Reads a header; throws "data" naming the file when it is not one, is of another version, or is damaged. */
export function decodeHeader(bytes: Uint8Array, path: string): ShardHeader {
  const refuse = (problem: string): never => {
    throw new LonghandError("data", `shards: ${path} ${problem}; prepare the text again`);
  };
  if (bytes.length < HEADER_BYTES)
    refuse(`is cut off: it has ${bytes.length} bytes, and a header alone ${HEADER_BYTES}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const hex = (from: number) =>
    Array.from(bytes.subarray(from, from + 32), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const magic = String.fromCharCode(...bytes.subarray(0, 8));
  if (magic !== MAGIC) refuse("is not a token shard: it does not begin with LONGHAND");
  const version = view.getUint32(8, true);
  if (version !== VERSION) refuse(`has format version ${version}, and this version of Longhand reads ${VERSION}`);
  if (sha256Hex(bytes.subarray(0, 112)) !== hex(112)) refuse("is damaged: its header does not match its checksum");
  const width = view.getUint32(12, true);
  return {
    width: width === 2 || width === 4 ? width : refuse(`has tokens of ${width} bytes: expected 2 or 4`),
    tokens: Number(view.getBigUint64(16, true)),
    documents: Number(view.getBigUint64(24, true)),
    firstToken: Number(view.getBigUint64(32, true)),
    vocabSize: view.getUint32(40, true),
    number: view.getUint32(44, true),
    checksum: hex(48),
    tokenizerDigest: hex(80),
  };
}

const INDEX = {
  format: "longhand-shards",
  what: "the index of a folder of token shards",
  version: VERSION,
  checksum: { field: "checksum", digest: sha256Hex },
};

export function encodeIndex(index: ShardIndex): string {
  return encodeCheckedJson(INDEX, index);
}

/** Reads an index.json; throws "data" naming the file when it is not one, is of another version, or was changed. */
export function decodeIndex(text: string, path: string): ShardIndex {
  const refuse: Refuse = (problem, cause) => {
    throw new LonghandError("data", `shards: ${path}: ${problem}; prepare the text again`, { cause });
  };
  const index = decodeCheckedJson(text, INDEX, refuse);
  return isIndex(index) ? index : refuse("a field of the index is missing or is not a count");
}

function isIndex(value: object): value is ShardIndex {
  const index = value as ShardIndex;
  return (
    [index.vocabSize, index.tokens, index.documents, index.bytes, index.characters, index.words].every(isCount) &&
    typeof index.tokenizerDigest === "string" &&
    (index.origin === undefined || isRecord(index.origin)) &&
    Array.isArray(index.shards) &&
    index.shards.every(isRecord)
  );
}
