/**
 * Opens the tokens of a run: of each corpus what is learnt and what is held out, or one text held out for all. The
 * held-out part of a corpus is its validation split, or else its end.
 */
import { LonghandError } from "../../base/errors.ts";
import { openShards, type TokenShards } from "../../data/shards.node.ts";
import { type DataSpec, nameOf } from "../../data/sources/corpus.ts";
import { type HeldOutSplit, sliceTokens, splitHeldOut, type TokenSequence } from "../../data/token-sequence.ts";
import type { TextTokenizer } from "../../data/tokenizer.node.ts";

export interface RunData {
  readonly tokenizer: TextTokenizer;
  /** What is learnt of each corpus. */
  readonly train: readonly TokenSequence[];
  /** Of the shards that each is of. */
  readonly digests: readonly string[];
  /** What is evaluated of each corpus, evalTokens in all at most; or of the one text that is held out for all. */
  readonly heldOut: readonly TokenSequence[];
  close(): void;
}

/** Folders of the token shards of a corpus. */
export interface PartFolders {
  /** For messages. */
  readonly data: DataSpec;
  /** Its share of the examples, 0 … 1. */
  readonly share: number;
  readonly train: string;
  /** Of its validation split; without it the end of `train` is held out. */
  readonly heldOut?: string | undefined;
}

export interface OpenRequest {
  readonly parts: readonly PartFolders[];
  /** Shards to evaluate on instead of a held-out part of each corpus. */
  readonly evaluate?: { readonly data: DataSpec; readonly folder: string } | undefined;
  readonly evalFraction: number;
  readonly evalTokens: number;
  readonly context: number;
  readonly tokenizer: TextTokenizer;
}

/** Bytes of shards kept in memory, over all corpora. */
const CACHE_BYTES = 256 * 1024 * 1024;

/** Of the tokens evaluated, those of a corpus. */
export function evalShare(evalTokens: number, share: number): number {
  return Math.max(1, Math.round(evalTokens * share));
}

/**
 * Verifies every shard. Throws "data" for a corpus of fewer tokens than one example, or with nothing to evaluate on, and
 * as openShards does.
 */
export async function openTokens(request: OpenRequest): Promise<RunData> {
  const { parts, evaluate, evalFraction, evalTokens, context, tokenizer } = request;
  const opened: TokenShards[] = [];
  const close = () => {
    for (const shards of opened) shards.close();
  };
  const open = async (folder: string, share: number) => {
    const cacheBytes = Math.floor(CACHE_BYTES * share);
    opened.push(await openShards(folder, { tokenizerDigest: tokenizer.digest, cacheBytes }));
    return opened[opened.length - 1];
  };
  try {
    const train: TokenSequence[] = [];
    const digests: string[] = [];
    const heldOut: TokenSequence[] = [];
    for (const part of parts) {
      const all = await open(part.train, part.share);
      requireContext(all.tokens, context, part.data);
      digests.push(all.digest);
      if (evaluate !== undefined) train.push(all);
      else if (part.heldOut !== undefined) {
        train.push(all);
        const own = await open(part.heldOut, part.share);
        heldOut.push(evaluated(own, evalShare(evalTokens, part.share), part.data));
      } else {
        const split = splitEnd(all, evalFraction, part.data);
        requireContext(split.train.tokens, context, part.data);
        train.push(split.train);
        heldOut.push(evaluated(split.heldOut, evalShare(evalTokens, part.share), part.data));
      }
    }
    if (evaluate !== undefined) heldOut.push(evaluated(await open(evaluate.folder, 1), evalTokens, evaluate.data));
    return { tokenizer, train, digests, heldOut, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The end of a corpus held out; what is wrong with it said of the corpus. */
function splitEnd(all: TokenShards, fraction: number, data: DataSpec): HeldOutSplit {
  try {
    return splitHeldOut(all, fraction, all.documentStarts);
  } catch (error) {
    if (!(error instanceof LonghandError)) throw error;
    throw new LonghandError(error.code, `data: ${nameOf(data)}: ${error.message}`, { cause: error });
  }
}

/** The beginning of a held-out text in which `most` tokens are predicted. */
function evaluated(sequence: TokenSequence, most: number, data: DataSpec): TokenSequence {
  if (sequence.tokens < 2) {
    throw new LonghandError("data", `data: ${nameOf(data)} leaves 1 token to evaluate on, too few; give more text`);
  }
  return sliceTokens(sequence, 0, Math.min(sequence.tokens, most + 1));
}

function requireContext(tokens: number, context: number, data: DataSpec): void {
  if (tokens > context) return;
  const needed = `a context of ${context} needs at least ${context + 1}`;
  throw new LonghandError(
    "data",
    `data: ${nameOf(data)} gives ${tokens} tokens to learn, and ${needed}; give more text or a smaller \`context\``,
  );
}
