/**
 * The bits of tokens, entered line by line. A line ends with its "\n". Each byte of a token carries an equal share of the
 * token's bits, so that a token across a border ("\n\n", a newline with the spaces after it) belongs to every line in
 * proportion; a token counts for the line in which it begins.
 */
import type { TextTokenizer } from "../../data/tokenizer.ts";

/** Bits in units (units.ts). */
export interface LineUnits {
  /** From 1. */
  readonly line: number;
  readonly units: number;
  /** Tokens that begin in the line. */
  readonly tokens: number;
  /** Of UTF-8, that of the line's end included. */
  readonly bytes: number;
  /** Units of the most surprising of these tokens. */
  readonly highest: number;
  /** Without the line's end, and without what is beyond LONGEST_TEXT bytes. */
  readonly text: string;
  readonly cut: boolean;
}

/** Bytes of a line that are kept. */
export const LONGEST_TEXT = 4096;

const NEWLINE = 0x0a;

export class LineLedger {
  readonly #tokenizer: Pick<TextTokenizer, "bytesOf">;
  #line = 1;
  #units = 0;
  #tokens = 0;
  #bytes = 0;
  #highest = 0;
  readonly #text = new Uint8Array(LONGEST_TEXT);
  #kept = 0;

  constructor(tokenizer: Pick<TextTokenizer, "bytesOf">) {
    this.#tokenizer = tokenizer;
  }

  /** The line in which the next token begins. */
  get line(): number {
    return this.#line;
  }

  /** Enters a token, and returns the lines that it ends. */
  add(token: number, units: number): readonly LineUnits[] {
    const bytes = this.#tokenizer.bytesOf(token);
    this.#tokens++;
    this.#highest = Math.max(this.#highest, units);
    let end = bytes.indexOf(NEWLINE) + 1;
    if (end === 0) {
      this.#enter(bytes, units);
      return NONE;
    }
    const lines: LineUnits[] = [];
    let [start, entered] = [0, 0];
    for (; end > 0; end = bytes.indexOf(NEWLINE, start) + 1) {
      const upTo = Math.round((units * end) / bytes.length);
      this.#enter(bytes.subarray(start, end), upTo - entered);
      lines.push(this.#close());
      start = end;
      entered = upTo;
    }
    if (start < bytes.length) this.#enter(bytes.subarray(start), units - entered);
    return lines;
  }

  /** The last line, where the text does not end with a newline. */
  end(): LineUnits | undefined {
    return this.#bytes > 0 ? this.#close() : undefined;
  }

  #enter(bytes: Uint8Array, units: number): void {
    this.#units += units;
    this.#bytes += bytes.length;
    if (this.#kept === LONGEST_TEXT) return;
    const kept = bytes.subarray(0, LONGEST_TEXT - this.#kept);
    this.#text.set(kept, this.#kept);
    this.#kept += kept.length;
  }

  #close(): LineUnits {
    const text = this.#text.subarray(0, this.#kept);
    const cut = this.#bytes > this.#kept;
    const line: LineUnits = {
      line: this.#line++,
      units: this.#units,
      tokens: this.#tokens,
      bytes: this.#bytes,
      highest: this.#highest,
      text: cut
        ? wholeCharacters(text)
        : decoder()
            .decode(text)
            .replace(/\r?\n$/, ""),
      cut,
    };
    this.#units = this.#tokens = this.#bytes = this.#highest = this.#kept = 0;
    return line;
  }
}

const NONE: readonly LineUnits[] = [];

/** The text up to the last character that is whole. */
function wholeCharacters(bytes: Uint8Array): string {
  return decoder().decode(bytes, { stream: true });
}

const decoder = () => new TextDecoder("utf-8", { ignoreBOM: true });
