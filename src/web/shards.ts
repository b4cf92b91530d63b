/**
 * Token shards (data/shard-format.ts) written and read without Node, in a run whose tokens fit into memory: the same bytes
 * as those of Node's writer.
 */
import { LonghandError } from "../base/errors.ts";
import { sha256Hex } from "../base/sha256.ts";
import {
  damaged,
  decodeHeader,
  decodeIndex,
  digestOfShards,
  encodeHeader,
  encodeIndex,
  HEADER_BYTES,
  INDEX_FILE,
  type ShardHeader,
  type ShardIndex,
  type ShardOrigin,
  type ShardPart,
  shardFile,
  shardFileBytes,
  TOKENIZER_FILE,
  tokenWidth,
} from "../data/shard-format.ts";
import { TextCounter } from "../data/text-count.ts";
import type { TextSource } from "../data/text-source.ts";
import { type TokenSequence, tokensInMemory } from "../data/token-sequence.ts";
import type { TextTokenizer } from "../data/tokenizer.ts";
import type { RunFiles } from "./run-files.ts";

const TOKENS_PER_SHARD = 2 ** 24;

export interface ShardsRequest {
  readonly source: TextSource;
  readonly tokenizer: TextTokenizer;
  readonly origin: ShardOrigin;
  readonly files: RunFiles;
  /** Where the shards go, such as "data/train". */
  readonly folder: string;
  /** Called after every piece with the share that is done, 0 … 1; may throw to end the work. */
  readonly onProgress: (done: number) => Promise<void>;
}

/** Writes the tokens of every document, each followed by the end-of-text token. Throws "data" for a source without text. */
export async function writeShards(request: ShardsRequest): Promise<void> {
  const { source, tokenizer, origin, files, folder } = request;
  const { ids, starts, ...counts } = await encodedSource(request);
  const { vocabSize, digest: tokenizerDigest } = tokenizer;
  const width = tokenWidth(vocabSize);
  const shards: ShardPart[] = [];
  for (let firstToken = 0; firstToken < ids.length; firstToken += TOKENS_PER_SHARD) {
    const some = ids.subarray(firstToken, firstToken + TOKENS_PER_SHARD);
    const own = starts.filter((start) => start >= firstToken && start < firstToken + some.length);
    const tokens = width === 2 ? Uint16Array.from(some) : Uint32Array.from(some);
    const payload = [tokens, BigUint64Array.from(own, BigInt)].map(
      ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength),
    );
    const part = { tokens: some.length, documents: own.length, checksum: sha256Hex(...payload) };
    const header = encodeHeader({
      ...{ width, number: shards.length, firstToken, vocabSize, tokenizerDigest },
      ...part,
    });
    await files.write(`${folder}/${shardFile(shards.length)}`, [header, ...payload]);
    shards.push(part);
  }
  if (shards.length === 0) throw new LonghandError("data", `data: ${source.path} contains no text`);
  await files.write(`${folder}/${TOKENIZER_FILE}`, [tokenizer.json]);
  const totals = { tokens: ids.length, documents: starts.length, ...counts };
  const index: ShardIndex = { tokenizerDigest, vocabSize, ...totals, origin, shards };
  await files.write(`${folder}/${INDEX_FILE}`, [encodeIndex(index)]);
}

async function encodedSource({ source, tokenizer, onProgress }: ShardsRequest) {
  const parts: Int32Array[] = [];
  const starts: number[] = [];
  const counter = new TextCounter();
  let [tokens, bytes, begins] = [0, 0, true];
  for await (const piece of source.pieces()) {
    if (begins) starts.push(tokens);
    const ids = await tokenizer.encode(piece.text);
    parts.push(ids);
    if (piece.last) parts.push(Int32Array.of(tokenizer.special.endOfText));
    tokens += ids.length + Number(piece.last);
    bytes += piece.bytes;
    counter.add(piece.text);
    if (piece.last) counter.endDocument();
    begins = piece.last;
    await onProgress(piece.done);
  }
  const ids = new Int32Array(tokens);
  let at = 0;
  for (const part of parts) {
    ids.set(part, at);
    at += part.length;
  }
  const { characters, words } = counter;
  return { ids, starts, bytes, characters, words };
}

export interface TokensInMemory extends TokenSequence {
  /** SHA-256 by way of the checksums of the shards. */
  readonly digest: string;
  /** Of the text. */
  readonly bytes: number;
  readonly documentStarts: Float64Array;
}

/** Reads and verifies a folder of shards. Throws "data" naming the file when one is missing, damaged or of another tokenizer. */
export async function readShards(files: RunFiles, folder: string, tokenizerDigest: string): Promise<TokensInMemory> {
  const required = async (name: string) => {
    const path = `${folder}/${name}`;
    const bytes = await files.read(path);
    if (bytes === undefined) throw damaged(path, "the file is missing");
    return { path, bytes };
  };
  const indexFile = await required(INDEX_FILE);
  const index = decodeIndex(new TextDecoder().decode(indexFile.bytes), indexFile.path);
  if (index.tokenizerDigest !== tokenizerDigest) throw damaged(indexFile.path, "it was made with another tokenizer");
  const shards: { readonly path: string; readonly bytes: Uint8Array; readonly header: ShardHeader }[] = [];
  let firstToken = 0;
  for (const [number, part] of index.shards.entries()) {
    const { path, bytes } = await required(shardFile(number));
    const header = decodeHeader(bytes, path);
    requireHeader(header, { ...part, number, firstToken, index }, path);
    if (bytes.length !== shardFileBytes(header)) throw damaged(path, `it has ${bytes.length} bytes`);
    if (sha256Hex(bytes.subarray(HEADER_BYTES)) !== header.checksum) {
      throw damaged(path, "its contents do not match its checksum");
    }
    shards.push({ path, bytes, header });
    firstToken += header.tokens;
  }
  if (firstToken !== index.tokens) throw damaged(indexFile.path, "its totals are not those of its shards");
  const ids = new Int32Array(index.tokens);
  const starts: number[] = [];
  for (const { path, bytes, header } of shards) {
    const { width, tokens, documents, vocabSize } = header;
    const payload = bytes.slice(HEADER_BYTES).buffer;
    const own = width === 2 ? new Uint16Array(payload, 0, tokens) : new Uint32Array(payload, 0, tokens);
    if (own.some((id) => id >= vocabSize)) throw damaged(path, `it holds a token outside its vocabulary`);
    ids.set(own, header.firstToken);
    const view = new DataView(payload, width * tokens);
    for (let i = 0; i < documents; i++) starts.push(Number(view.getBigUint64(8 * i, true)));
  }
  const documentStarts = Float64Array.from(starts);
  return { ...tokensInMemory(ids), digest: digestOfShards(index.shards), bytes: index.bytes, documentStarts };
}

interface ExpectedShard extends ShardPart {
  readonly number: number;
  readonly firstToken: number;
  readonly index: ShardIndex;
}

function requireHeader(header: ShardHeader, { index, ...part }: ExpectedShard, path: string): void {
  const { vocabSize, tokenizerDigest } = index;
  const expected: ShardHeader = { ...part, width: tokenWidth(vocabSize), vocabSize, tokenizerDigest };
  const names = Object.keys(header) as (keyof ShardHeader)[];
  if (names.some((name) => header[name] !== expected[name])) {
    throw damaged(path, `its header does not agree with ${INDEX_FILE}`);
  }
}
