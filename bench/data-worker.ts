/**
 * The process in which preparation is timed: `data-worker.ts TOKENIZER.json THREADS FOLDER DATA|-|none`. Commands:
 * "tokenizer" (encoding alone, of pieces in memory, by the `tokenizers` package, by Longhand's encoder on one thread or
 * by its threads) and "prepare" (a corpus to shards). What is timed is the built package, as users run it: threads that
 * load TypeScript would take half a second to start.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "tokenizers";
import { serveCommands } from "../reproduce/serve.ts";
import type * as EncodedBatches from "../src/data/encoded-batches.node.ts";
import type * as Shards from "../src/data/shards.node.ts";
import type * as Text from "../src/data/sources/text.ts";
import { type TextPiece, textInMemory } from "../src/data/text-source.ts";
import type * as Tokenizers from "../src/data/tokenizer.node.ts";
import { readTokenizerFile } from "../src/data/tokenizer-file.ts";
import { corpusDocuments } from "./data-corpus.ts";

const built = (name: string) => import(new URL(`../dist/src/data/${name}.js`, import.meta.url).href);
const { encodedBatches }: typeof EncodedBatches = await built("encoded-batches.node");
const { writeShards }: typeof Shards = await built("shards.node");
const { openTextSource }: typeof Text = await built("sources/text");
const { tokenizerFromJson }: typeof Tokenizers = await built("tokenizer.node");

const [file, threadCount, folder, data] = process.argv.slice(2);
const threads = Number(threadCount);
const json = readFileSync(file, "utf8");
const tokenizer = tokenizerFromJson(json);
const pieces: TextPiece[] = [];
// Who prepares holds no text in memory.
if (data !== "none") {
  const documents = await corpusDocuments(data === "-" ? undefined : data);
  for await (const piece of textInMemory("documents", documents).pieces()) pieces.push(piece);
}
const bytes = pieces.reduce((sum, piece) => sum + piece.bytes, 0);

/** Batches of so many pieces, two on their way: what the package's own threads do best with. */
const PIECES_AT_ONCE = 32;

/** Encodes all pieces; `encode` gets so many at a time. */
async function inBatches(encode: (texts: string[]) => Promise<unknown>): Promise<void> {
  const flying: Promise<unknown>[] = [];
  for (let from = 0; from < pieces.length; from += PIECES_AT_ONCE) {
    flying.push(encode(pieces.slice(from, from + PIECES_AT_ONCE).map(({ text }) => text)));
    if (flying.length > 1) await flying.shift();
  }
  await Promise.all(flying);
}

/** The package with its own threads, its ids as JavaScript gets them. */
function native(): Promise<void> {
  const encoder = Tokenizer.fromString(readTokenizerFile(json, file).encoderJson);
  return inBatches(async (texts) => {
    const encodings = await encoder.encodeBatch(texts, { addSpecialTokens: false });
    return encodings.map((encoding) => encoding.getIds());
  });
}

/** As a new process would, with no word remembered. */
function one(): Promise<void> {
  const fresh = tokenizerFromJson(json);
  return inBatches((texts) => fresh.encodeBatch(texts));
}

async function workers(): Promise<void> {
  async function* source() {
    yield* pieces;
  }
  for await (const _ of encodedBatches({ pieces: source(), tokenizer, threads }));
}

async function prepare(path: string): Promise<void> {
  const out = join(folder, "out");
  const source = await openTextSource(path);
  await writeShards({ source, tokenizer, out, threads });
  rmSync(out, { recursive: true });
}

async function timed(work: () => Promise<void>): Promise<{ seconds: number }> {
  const began = performance.now();
  await work();
  return { seconds: (performance.now() - began) / 1000 };
}

const WAYS = { native, one, workers };

await serveCommands(
  { bytes, documents: pieces.filter(({ last }) => last).length },
  {
    tokenizer: (command) => timed(WAYS[command.by as keyof typeof WAYS]),
    prepare: (command) => timed(() => prepare(String(command.path))),
  },
);
