/**
 * States of prompts that were read, so that what several prompts begin with is read once. A state is kept at the end of a
 * prompt, with its logits; at the last border of a part before; and where two prompts part, at the border before it: only
 * there would a prompt that is read from its beginning have the same bits. The state of FLASH has one size, however long the
 * prompt is. What was unused for longest goes first.
 */
import type { TokenReader } from "../../generate/reader.ts";
import { DecodingState } from "../../generate/state.ts";
import type { DecodingArchitecture } from "../../nn/decoding.ts";

interface Prefix {
  readonly tokens: Int32Array;
  readonly state: DecodingState;
  /** After the last token, [V]: then it serves a prompt that is just this. */
  readonly logits: Float32Array | undefined;
  readonly bytes: number;
}

/** So many tokens beyond the last border are not worth a state of their own. */
const FEW_TOKENS = 32;

export class Prefixes {
  readonly #architecture: DecodingArchitecture;
  readonly #part: number;
  readonly #mostBytes: number;
  /** The one that was unused for longest first. */
  #kept: Prefix[] = [];
  #hits = 0;
  #misses = 0;

  constructor(architecture: DecodingArchitecture, part: number, mostBytes: number) {
    this.#architecture = architecture;
    this.#part = part;
    this.#mostBytes = mostBytes;
  }

  get facts() {
    return { count: this.#kept.length, bytes: this.#bytes, hits: this.#hits, misses: this.#misses };
  }

  get #bytes(): number {
    return this.#kept.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The longest that these tokens begin with. */
  find(tokens: Int32Array): Prefix | undefined {
    let best: Prefix | undefined;
    for (const prefix of this.#kept) {
      const { length } = prefix.tokens;
      const serves = prefix.logits === undefined ? length < tokens.length : length === tokens.length;
      if (serves && length > (best?.tokens.length ?? 0) && commonTokens(prefix.tokens, tokens) === length)
        best = prefix;
    }
    if (best !== undefined) {
      this.#hits++;
      this.#kept = [...this.#kept.filter((prefix) => prefix !== best), best];
    } else if (tokens.length > this.#part) this.#misses++;
    return best;
  }

  /** Where to stop for a state to keep while these tokens are read: ascending, at borders of parts. */
  stops(tokens: Int32Array): number[] {
    if (this.#mostBytes === 0) return [];
    const border = (length: number) => length - (length % this.#part);
    const shared = Math.max(0, ...this.#kept.map((prefix) => commonTokens(prefix.tokens, tokens)));
    const stops = new Set([border(shared), border(tokens.length - 1)]);
    return [...stops].filter((stop) => stop > 0).sort((a, b) => a - b);
  }

  /** Whether the end of a prompt is worth a state. */
  endOf(tokens: Int32Array): boolean {
    return this.#mostBytes > 0 && (tokens.length - 1) % this.#part >= FEW_TOKENS;
  }

  /** Keeps a copy of the state of a reader of one that has read these tokens. */
  async keep(tokens: Int32Array, reader: TokenReader, logits?: Float32Array): Promise<void> {
    const same = ({ tokens: own, logits: end }: Prefix) =>
      own.length === tokens.length &&
      (end === undefined) === (logits === undefined) &&
      commonTokens(own, tokens) === own.length;
    if (this.#kept.some(same)) return;
    await reader.onHost(() => {
      const bytes = reader.state.bytes + tokens.byteLength + (logits?.byteLength ?? 0);
      if (bytes > this.#mostBytes) return;
      while (this.#bytes + bytes > this.#mostBytes) this.#kept.shift();
      const state = new DecodingState(this.#architecture, 1);
      state.copyFrom(reader.state, 0, 0);
      this.#kept.push({ tokens: tokens.slice(), state, logits: logits?.slice(), bytes });
    });
  }
}

/** How many tokens both begin with. */
function commonTokens(a: Int32Array, b: Int32Array): number {
  const most = Math.min(a.length, b.length);
  let count = 0;
  while (count < most && a[count] === b[count]) count++;
  return count;
}
