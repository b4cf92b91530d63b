/**
 * The process in which preparation is timed: `data-worker.ts TOKENIZER.json THREADS FOLDER DATA|-`. Commands: "tokenizer"
 * (encoding alone, of pieces in memory, by the native threads or by worker threads) and "prepare" (a corpus to shards).
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { encodedBatches } from "../src/data/encoded-batches.node.ts";
import { writeShards } from "../src/data/shards.node.ts";
import { openTextSource } from "../src/data/sources/text.ts";
import { type TextPiece, textInMemory } from "../src/data/text-source.ts";
import { tokenizerFromJson } from "../src/data/tokenizer.node.ts";
import { type Command, serveCommands } from "../src/reproduce/serve-commands.ts";
import { benchDocuments } from "./data-corpus.ts";

const [file, threadCount, folder, data] = process.argv.slice(2);
const threads = Number(threadCount);
const tokenizer = tokenizerFromJson(readFileSync(file, "utf8"));
const pieces: TextPiece[] = [];
for await (const piece of textInMemory("documents", await benchDocuments(data === "-" ? undefined : data)).pieces()) {
  pieces.push(piece);
}
const bytes = pieces.reduce((sum, piece) => sum + piece.bytes, 0);

/** Batches of so many pieces, two on their way: what the package's own threads do best with. */
const PIECES_AT_ONCE = 32;

async function native(): Promise<void> {
  const flying: Promise<unknown>[] = [];
  for (let from = 0; from < pieces.length; from += PIECES_AT_ONCE) {
    flying.push(tokenizer.encodeBatch(pieces.slice(from, from + PIECES_AT_ONCE).map(({ text }) => text)));
    if (flying.length > 1) await flying.shift();
  }
  await Promise.all(flying);
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

await serveCommands(
  { bytes, documents: pieces.filter(({ last }) => last).length },
  {
    tokenizer: (command) => timed((command as Command & { by: string }).by === "native" ? native : workers),
    prepare: (command) => timed(() => prepare((command as Command & { path: string }).path)),
  },
);
