/**
 * Learns the merges of byte-level BPE (Sennrich et al. 2016) without Node. It gives byte for byte what the `tokenizers`
 * package gives (data/tokenizer-training.node.ts), its peculiarities included: characters are numbered in the order of
 * their code points, of pairs as frequent the one of lower numbers comes first, and a pair keeps its count when it has been
 * merged, so that it can come again for words in which it arose later.
 */
import { Heap } from "../base/heap.ts";
import { byteCharacters } from "../data/byte-level.ts";
import type { Merge } from "../data/tokenizer-file.ts";
import {
  MOST_TOKENS,
  requireTrainable,
  sampledLines,
  type TrainingRequest,
  trainedJson,
} from "../data/tokenizer-request.ts";
import { wordsOf } from "./words.ts";

/** A pair of symbols as one number; numbers stand in the order of pairs. */
type Pair = number;
/** Above every symbol, and small enough for pairs to be small integers of the engine. */
const BASE = 2 ** 15;

/** A pair to be merged in these words, and how frequent it was when it was put there. */
interface Candidate {
  readonly pair: Pair;
  count: number;
  readonly words: readonly number[];
}

interface Words {
  /** Symbols of word i: symbols[starts[i]] and lengths[i] in all. */
  readonly symbols: Int32Array;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  /** How often each word occurs. */
  readonly counts: Float64Array;
}

/**
 * The tokenizer.json learnt from a seeded sample of the source, as by trainTokenizerJson in Node. Calls `pause` now and
 * then, which may throw to end it. Throws "usage" for numbers out of range.
 */
export async function trainTokenizerJson(
  request: TrainingRequest,
  pause: () => Promise<void> = async () => {},
): Promise<string> {
  requireTrainable(request);
  const counts = new Map<string, number>();
  for await (const lines of sampledLines(request)) {
    countWords(lines, counts);
    await pause();
  }
  return trainedJson(await learnMerges(counts, pause), request);
}

function countWords(lines: string, counts: Map<string, number>): void {
  for (const line of lines.split(/(?<=\n)/)) {
    for (const word of wordsOf(line)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
}

/** The merges of a whole training, to MOST_TOKENS tokens, in the order in which they apply. */
async function learnMerges(counts: ReadonlyMap<string, number>, pause: () => Promise<void>): Promise<Merge[]> {
  const alphabet = byteCharacters().sort();
  const tokens = [...alphabet];
  const words = symbolsOf(counts, alphabet);
  const used = new Set(words.symbols).size;
  const most = MOST_TOKENS - used + alphabet.length;
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  const pairCounts = new Map<Pair, number>();
  const candidates = new Heap<Candidate>((a, b) => a.count > b.count || (a.count === b.count && a.pair < b.pair));
  const arisen = new Map<Pair, number[]>();
  const change = (left: number, right: number, word: number, by: number): void => {
    const pair = left * BASE + right;
    pairCounts.set(pair, (pairCounts.get(pair) ?? 0) + by * words.counts[word]);
    if (by < 0) return;
    const known = arisen.get(pair);
    if (known === undefined) arisen.set(pair, [word]);
    else if (known.at(-1) !== word) known.push(word);
  };
  const takeArisen = (): void => {
    for (const [pair, places] of arisen) {
      const count = pairCounts.get(pair) ?? 0;
      if (count > 0) candidates.push({ pair, count, words: places });
    }
    arisen.clear();
  };
  for (let word = 0; word < words.starts.length; word++) {
    const from = words.starts[word];
    for (let at = from; at < from + words.lengths[word] - 1; at++) {
      change(words.symbols[at], words.symbols[at + 1], word, 1);
    }
  }
  takeArisen();
  /** By pair; one that is merged again moves to the end, as it does in the package's table of merges. */
  const merges = new Map<Pair, Merge>();
  for (let steps = 1; tokens.length < most; steps++) {
    const top = candidates.pop();
    if (top === undefined) break;
    const count = pairCounts.get(top.pair) ?? 0;
    if (top.count !== count) {
      top.count = count;
      candidates.push(top);
      continue;
    }
    if (count < 1) break;
    const [left, right] = [Math.floor(top.pair / BASE), top.pair % BASE];
    const merge: Merge = [tokens[left], tokens[right]];
    const token = merge.join("");
    const id = idOf.get(token) ?? tokens.push(token) - 1;
    idOf.set(token, id);
    merges.delete(top.pair);
    merges.set(top.pair, merge);
    for (const word of top.words) mergeInWord(words, word, { left, right, id }, change);
    takeArisen();
    if (steps % 1000 === 0) await pause();
  }
  return [...merges.values()];
}

/** Words as symbols: each of their bytes by the place of its character in the alphabet. */
function symbolsOf(counts: ReadonlyMap<string, number>, alphabet: readonly string[]): Words {
  const symbolOf = byteCharacters().map((character) => alphabet.indexOf(character));
  const encoder = new TextEncoder();
  const encoded = Array.from(counts.keys(), (word) => encoder.encode(word));
  const symbols = new Int32Array(encoded.reduce((sum, bytes) => sum + bytes.length, 0));
  const starts = new Int32Array(encoded.length);
  let at = 0;
  for (const [i, bytes] of encoded.entries()) {
    starts[i] = at;
    for (const byte of bytes) symbols[at++] = symbolOf[byte];
  }
  const lengths = Int32Array.from(encoded, (bytes) => bytes.length);
  return { symbols, starts, lengths, counts: Float64Array.from(counts.values()) };
}

interface MergedPair {
  readonly left: number;
  readonly right: number;
  readonly id: number;
}

/** Merges a pair wherever it stands in a word, from left to right, and tells which pairs that makes or ends. */
function mergeInWord(
  { symbols, starts, lengths }: Words,
  word: number,
  { left, right, id }: MergedPair,
  change: (left: number, right: number, word: number, by: number) => void,
): void {
  const start = starts[word];
  const end = start + lengths[word];
  let to = start;
  for (let from = start; from < end; ) {
    if (symbols[from] !== left || from + 1 >= end || symbols[from + 1] !== right) {
      symbols[to++] = symbols[from++];
      continue;
    }
    if (to > start) {
      change(symbols[to - 1], left, word, -1);
      change(symbols[to - 1], id, word, 1);
    }
    from += 2;
    symbols[to++] = id;
    if (from < end) {
      change(right, symbols[from], word, -1);
      change(id, symbols[from], word, 1);
    }
  }
  lengths[word] = to - start;
}
