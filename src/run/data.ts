/**
 * The tokens of a run: text tokenized into the run folder's `data`, or token shards that exist already. The held-out
 * part is a text of its own, or the end of the data.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { LonghandError } from "../base/errors.ts";
import { writeDirectoryAtomic } from "../checkpoint/atomic.node.ts";
import { openShards, type TokenShards, writeShards } from "../data/shards.node.ts";
import { openTextSource } from "../data/sources/text.ts";
import { sliceTokens, splitHeldOut, type TokenSequence } from "../data/token-sequence.ts";
import { loadTokenizer, type TextTokenizer, trainTokenizer } from "../data/tokenizer.node.ts";

export interface RunData {
  readonly tokenizer: TextTokenizer;
  readonly train: TokenSequence;
  /** At most evalTokens of the held-out part. */
  readonly heldOut: TokenSequence;
  close(): void;
}

export interface DataRequest {
  readonly data: string;
  readonly evalData?: string | undefined;
  readonly evalFraction: number;
  readonly evalTokens: number;
  readonly vocab: number;
  /** Path of an existing tokenizer.json. */
  readonly tokenizer?: string | undefined;
  readonly seed: number;
  readonly context: number;
}

export interface PrepareProgress {
  readonly stage: "tokenizer" | "tokens";
  /** 0 … 1 */
  readonly done: number;
}

/** Whether a path is a folder of token shards rather than text. */
export function isShardFolder(path: string): boolean {
  return existsSync(join(path, "index.json"));
}

/**
 * Tokenizes what is text into `<run>/data`, which appears only when it is complete and `ready` (told the tokenizer) has
 * succeeded. Throws "data" when either part is shorter than one context.
 */
export async function prepareRunData(
  runDir: string,
  request: DataRequest,
  onProgress: (progress: PrepareProgress) => void,
  ready: (tokenizer: TextTokenizer) => Promise<void>,
): Promise<RunData> {
  const { data, evalData, vocab, seed } = request;
  if (isShardFolder(data) && evalData === undefined) {
    const tokenizer = await loadTokenizer(join(data, "tokenizer.json"));
    const opened = await openRunData(runDir, request, tokenizer);
    await ready(tokenizer);
    return opened;
  }
  const source = isShardFolder(data) ? undefined : await openTextSource(data);
  const evalSource = evalData === undefined || isShardFolder(evalData) ? undefined : await openTextSource(evalData);
  let tokenizer: TextTokenizer | undefined;
  await writeDirectoryAtomic(join(runDir, "data"), async (temporary) => {
    onProgress({ stage: "tokenizer", done: 0 });
    if (source === undefined) tokenizer = await loadTokenizer(join(data, "tokenizer.json"));
    else if (request.tokenizer !== undefined) tokenizer = await loadTokenizer(request.tokenizer);
    else tokenizer = await trainTokenizer({ source, vocabSize: vocab, seed });
    const total = (source?.totalBytes ?? 0) + (evalSource?.totalBytes ?? 0);
    let before = 0; // stored bytes
    for (const [name, text] of [
      ["train", source],
      ["heldout", evalSource],
    ] as const) {
      if (text === undefined) continue;
      const out = join(temporary, name);
      const onShards = ({ done }: { done: number }) =>
        onProgress({ stage: "tokens", done: (before + done * text.totalBytes) / total });
      await writeShards({ source: text, tokenizer, out, onProgress: onShards });
      before += text.totalBytes;
    }
    (await openParts(temporary, request, tokenizer)).close(); // the lengths are checked before anything is kept
    await ready(tokenizer);
  });
  return openRunData(runDir, request, tokenizer as TextTokenizer);
}

/** Opens what prepareRunData has written, or the shards that the run reads. Everything is verified. */
export function openRunData(runDir: string, request: DataRequest, tokenizer: TextTokenizer): Promise<RunData> {
  return openParts(join(runDir, "data"), request, tokenizer);
}

async function openParts(folder: string, request: DataRequest, tokenizer: TextTokenizer): Promise<RunData> {
  const { data, evalData, evalFraction, evalTokens, context } = request;
  const own = (name: string, path: string) => (isShardFolder(path) ? path : join(folder, name));
  const open: TokenShards[] = [];
  const close = () => {
    for (const shards of open) shards.close();
  };
  try {
    const all = await openShards(own("train", data), { tokenizerDigest: tokenizer.digest });
    open.push(all);
    requireContext(all.tokens, context, data);
    let [train, heldOut]: TokenSequence[] = [all, all];
    if (evalData === undefined) ({ train, heldOut } = splitHeldOut(all, evalFraction, all.documentStarts));
    else {
      heldOut = await openShards(own("heldout", evalData), { tokenizerDigest: tokenizer.digest });
      open.push(heldOut as TokenShards);
    }
    requireContext(train.tokens, context, data);
    if (heldOut.tokens < 2) {
      throw new LonghandError("data", `data: ${data} leaves 1 token to evaluate on, too few; give more text`);
    }
    return { tokenizer, train, heldOut: sliceTokens(heldOut, 0, Math.min(heldOut.tokens, evalTokens + 1)), close };
  } catch (error) {
    close();
    throw error;
  }
}

function requireContext(tokens: number, context: number, path: string): void {
  if (tokens > context) return;
  const needed = `a context of ${context} needs at least ${context + 1}`;
  throw new LonghandError(
    "data",
    `data: ${path} gives ${tokens} tokens to learn, and ${needed}; give more text or a smaller --context`,
  );
}
