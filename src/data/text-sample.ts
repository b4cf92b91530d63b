/** A bounded, seeded sample of a source: what a tokenizer is trained on. */
import { LonghandError } from "../base/errors.ts";
import { Heap } from "../base/heap.ts";
import { permuteIndex, randomKey, randomUniform } from "../base/random.ts";
import type { TextPiece, TextSource } from "./text-source.ts";

interface SampleRequest {
  readonly seed: number;
  /** The most text to return, in bytes. */
  readonly bytes: number;
}

/** The sample is drawn from this many times its size; of a larger source, parts of many inputs are read. */
const READ_FACTOR = 64;

/**
 * Pieces of a source in its order, all of them when they fit. Every piece that is read is equally likely to be among
 * them; the same source and seed give the same pieces. Throws "data" when there is no text.
 */
export async function sampleText(source: TextSource, { seed, bytes: limit }: SampleRequest): Promise<string[]> {
  const key = randomKey(seed, "tokenizer sample");
  const sample = new LowestKeys(limit);
  let index = 0;
  for await (const { text, bytes } of piecesToDrawFrom(source, seed, READ_FACTOR * limit)) {
    sample.add({ text, bytes, index, key: randomUniform(key, index) });
    index++;
  }
  if (index === 0) throw new LonghandError("data", `data: ${source.path} contains no text`);
  return sample.pieces();
}

/**
 * The whole source where it fits into `most` bytes; else equal parts from up to READ_FACTOR inputs, drawn by seed. A
 * source with a limit is read from its beginning, because what lies beyond the limit is not wanted and may not be here.
 */
async function* piecesToDrawFrom(source: TextSource, seed: number, most: number): AsyncGenerator<TextPiece> {
  if (source.totalBytes <= most) return yield* source.pieces();
  const passes = source.piecesFrom === undefined ? drawnInputs(source.inputs.length, seed) : [undefined];
  for (const inputs of passes) {
    let read = 0;
    for await (const piece of source.pieces(inputs)) {
      yield piece;
      read += piece.bytes;
      if (read >= most / passes.length) break;
    }
  }
}

/** Up to READ_FACTOR of `count` inputs, one a pass. */
function drawnInputs(count: number, seed: number): number[][] {
  const key = randomKey(seed, "tokenizer inputs");
  return Array.from({ length: Math.min(count, READ_FACTOR) }, (_, i) => [permuteIndex(key, count, i)]);
}

interface Drawn {
  readonly text: string;
  readonly bytes: number;
  readonly index: number;
  readonly key: number;
}

/** The pieces with the lowest keys whose bytes together stay within the limit, at least one. */
class LowestKeys {
  readonly #limit: number;
  readonly #highestFirst = new Heap<Drawn>((a, b) => a.key > b.key);
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(piece: Drawn): void {
    this.#highestFirst.push(piece);
    this.#bytes += piece.bytes;
    while (this.#bytes > this.#limit && this.#highestFirst.size > 1) {
      this.#bytes -= this.#highestFirst.pop()?.bytes ?? 0;
    }
  }

  pieces(): string[] {
    const kept = this.#highestFirst.items().sort((a, b) => a.index - b.index);
    return kept.map(({ text }) => text);
  }
}
