/** What `score` returns: records of tokens, lines and documents. */
import type { TextTokenizer } from "../../data/tokenizer.ts";
import type { TokenUnits } from "./document-scorer.ts";
import type { LineUnits } from "./line-ledger.ts";
import { bitsOf } from "./units.ts";

/** The surprise of a text: -log2 of the probability that a model gives it, after all that stands before it. */
export interface Surprise {
  /** A multiple of 2^-20: sums are exact. */
  readonly bits: number;
  readonly tokens: number;
  readonly bitsPerByte: number;
  /** null where no token begins. */
  readonly bitsPerToken: number | null;
  /** Bits of the most surprising token that begins in it. */
  readonly highest: number;
}

/** With the bits that the model of the record saves, or, negative, costs. */
export interface OtherSurprise extends Surprise {
  readonly saved: number;
}

interface Scored extends Surprise {
  /** Number of the document, from 1. */
  readonly document: number;
  /** Its file; or "standard input" or "text". */
  readonly path: string;
  /** Of UTF-8, ends of lines included. */
  readonly bytes: number;
  /** Under the other model, where one was given. */
  readonly against?: OtherSurprise;
}

export interface ScoredLine extends Scored {
  readonly type: "line";
  /** From 1. */
  readonly line: number;
  /** Without the end of the line. */
  readonly text: string;
  /** Whether `text` is only the beginning of a very long line. */
  readonly cut?: true;
}

export interface ScoredToken {
  readonly type: "token";
  readonly document: number;
  /** In which it begins. */
  readonly line: number;
  readonly token: number;
  /** U+FFFD for bytes of a character that is cut. */
  readonly text: string;
  /** Where `text` is not exact. */
  readonly bytes?: readonly number[];
  readonly bits: number;
}

/** Its `bits` are the sum of those of its lines. */
export interface ScoredDocument extends Scored {
  readonly type: "document";
  /** Number of the record in a file of many documents, from 1. */
  readonly record?: number;
  readonly lines: number;
  /** Bits of the end of the text, which `bits` leaves out; missing where reading was stopped. */
  readonly endBits?: number;
  /** Tokens of a window, each of which began anew; null: the document was read whole. */
  readonly window: number | null;
}

export type ScoreRecord = ScoredToken | ScoredLine | ScoredDocument;

/** A sum of lines. */
export class Total {
  #units = 0;
  #tokens = 0;
  #highest = 0;
  lines = 0;
  bytes = 0;

  add({ units, tokens, bytes, highest }: Pick<LineUnits, "units" | "tokens" | "bytes" | "highest">): void {
    this.#units += units;
    this.#tokens += tokens;
    this.#highest = Math.max(this.#highest, highest);
    this.lines++;
    this.bytes += bytes;
  }

  get surprise(): Surprise {
    return surpriseOf({ units: this.#units, tokens: this.#tokens, bytes: this.bytes, highest: this.#highest });
  }
}

export function surpriseOf({
  units,
  tokens,
  bytes,
  highest,
}: Pick<LineUnits, "units" | "tokens" | "bytes" | "highest">): Surprise {
  const bits = bitsOf(units);
  return {
    bits,
    tokens,
    bitsPerByte: bits / bytes,
    bitsPerToken: tokens === 0 ? null : bits / tokens,
    highest: bitsOf(highest),
  };
}

/** What the model with `own` saves against another. */
export function beside(own: Surprise, other: Surprise): OtherSurprise {
  return { ...other, saved: other.bits - own.bits };
}

export function tokenRecord(
  tokenizer: Pick<TextTokenizer, "bytesOf">,
  document: number,
  { token, line, units }: TokenUnits,
): ScoredToken {
  const bytes = tokenizer.bytesOf(token);
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const again = new TextEncoder().encode(text);
  const exact = again.length === bytes.length && again.every((byte, i) => byte === bytes[i]);
  return { type: "token", document, line, token, text, ...(exact ? {} : { bytes: [...bytes] }), bits: bitsOf(units) };
}
