/**
 * A text that is read and written token by token, and can be taken back to any of its tokens. States along the text
 * are kept where they fit, so that little or nothing is read again: in a bounded memory, the farther apart the longer
 * the text.
 */
import { LonghandError } from "../../base/errors.ts";
import type { Decoder } from "../../generate/decoder.ts";
import { entropyOfLogits } from "../../generate/sampling.ts";
import { likeliestTokens, logSumExp, tokenText, type Vocabulary } from "../../generate/token-text.ts";
import type { Alternative, TextToken } from "../api.ts";

/** A decoder that has read so many tokens, and the logits [V] after them; undefined before the first. */
interface Place {
  readonly decoder: Decoder;
  readonly logits: Float32Array | undefined;
}

/** Tokens of a prompt that are read at once: as many rows of logits are held. */
const PART = 128;
/** Memory for the states of one text. */
const STATE_BYTES = 64e6;

export class StudyText {
  readonly #vocabulary: Vocabulary;
  readonly #tokens: number[] = [];
  /** By how many tokens each has read, ascending. They are not read on with: copies are. */
  #places: Place[] = [];
  /** Tokens between two places. */
  #stride = 1;
  #decoder: Decoder;
  #logits: Float32Array | undefined;

  private constructor(vocabulary: Vocabulary, decoder: Decoder) {
    this.#vocabulary = vocabulary;
    this.#decoder = decoder;
  }

  /** `start`: a decoder that has read nothing, of which copies are made. */
  static async begin(vocabulary: Vocabulary, start: Decoder): Promise<StudyText> {
    const text = new StudyText(vocabulary, await start.fork());
    text.#places = [{ decoder: start, logits: undefined }];
    return text;
  }

  get tokens(): readonly number[] {
    return this.#tokens;
  }

  /** Logits [V] of the next token. They stay as they are until the next token is read. */
  get logits(): Float32Array {
    if (this.#logits === undefined) throw new LonghandError("usage", "keep: expected at least one token of the text");
    return this.#logits;
  }

  /** Reads tokens; says of each what it was among. */
  async read(tokens: ArrayLike<number>, top: number, signal?: AbortSignal): Promise<TextToken[]> {
    const read: TextToken[] = [];
    const V = this.#decoder.vocabSize;
    for (let at = 0; at < tokens.length; ) {
      signal?.throwIfAborted();
      const part = Array.from({ length: Math.min(PART, tokens.length - at) }, (_, i) => tokens[at + i]);
      const all =
        part.length === 1 ? await this.#decoder.step(part[0]) : await this.#decoder.absorb(part, { logits: "all" });
      for (const [i, token] of part.entries()) {
        read.push(describeToken(this.#vocabulary, token, this.#logits, top));
        this.#logits = all.subarray(i * V, (i + 1) * V);
        this.#tokens.push(token);
      }
      this.#logits = this.#logits?.slice(); // the next step overwrites it, and the rest of the part can go
      at += part.length;
      await this.#keepPlace();
    }
    return read;
  }

  /** Takes the text back to its first tokens. */
  async keep(count: number): Promise<void> {
    if (!(Number.isInteger(count) && count >= 0 && count <= this.#tokens.length))
      throw new LonghandError("usage", `keep: expected 0 to ${this.#tokens.length} tokens, got ${count}`);
    if (count === this.#tokens.length) return;
    this.#places = this.#places.filter(({ decoder }) => decoder.position <= count);
    const { decoder, logits } = this.#places[this.#places.length - 1];
    const again = this.#tokens.slice(decoder.position, count);
    this.#decoder = await decoder.fork();
    this.#logits = logits;
    this.#tokens.length = decoder.position;
    if (again.length > 0) await this.read(again, 0);
  }

  /** The likeliest next tokens, and the entropy in bits of what comes next. */
  next(top: number): { readonly next: Alternative[]; readonly entropy: number } {
    return { next: alternativesOf(this.#vocabulary, this.logits, top), entropy: bits(entropyOfLogits(this.logits)) };
  }

  async #keepPlace(): Promise<void> {
    const last = this.#places[this.#places.length - 1].decoder.position;
    if (this.#tokens.length - last < this.#stride) return;
    this.#places.push({ decoder: await this.#decoder.fork(), logits: this.#logits });
    const bytes = this.#places.reduce((sum, { decoder }) => sum + decoder.stateBytes + 4 * decoder.vocabSize, 0);
    if (bytes <= STATE_BYTES || this.#places.length < 4) return;
    this.#places = this.#places.filter((_, i) => i % 2 === 0);
    this.#stride *= 2;
  }
}

/** `logits` [V]: those after which it came. */
export function describeToken(
  vocabulary: Vocabulary,
  id: number,
  logits: Float32Array | undefined,
  top: number,
): TextToken {
  const text = tokenText(vocabulary, id);
  if (logits === undefined) return { id, text, probability: null, rank: null, entropy: null, alternatives: [] };
  let rank = 1;
  for (let other = 0; other < logits.length; other++) {
    if (logits[other] > logits[id] || (logits[other] === logits[id] && other < id)) rank++;
  }
  const probability = Math.exp(logits[id] - logSumExp(logits));
  const alternatives = alternativesOf(vocabulary, logits, top);
  return { id, text, probability, rank, entropy: bits(entropyOfLogits(logits)), alternatives };
}

function alternativesOf(vocabulary: Vocabulary, logits: Float32Array, top: number): Alternative[] {
  return likeliestTokens(logits, top).map(({ id, logprob }) => {
    return { id, text: tokenText(vocabulary, id), probability: Math.exp(logprob) };
  });
}

const bits = (nats: number) => nats / Math.LN2;
