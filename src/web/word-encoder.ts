/**
 * The tokens of a word by byte-level BPE: of all neighbours that merge, those with the lowest rank first, of equal ones
 * the leftmost, until none merge. As the `tokenizers` package does it, for words of any length (a heap of places).
 */
import { Heap } from "../base/heap.ts";
import { byteCharacters } from "../data/byte-level.ts";

interface Rule {
  readonly rank: number;
  readonly id: number;
}

interface Place extends Rule {
  readonly at: number;
}

export interface MergeTable {
  readonly vocab: Readonly<Record<string, number>>;
  /** Two tokens each, or both with a space between, as older files write them. */
  readonly merges: readonly (readonly [string, string] | string)[];
  /** Whether a word that is a token stays whole. */
  readonly ignore_merges?: boolean;
}

const BASE = 2 ** 26;

/** Words that are remembered; more are forgotten all at once. */
const REMEMBERED = 131_072;
/** Longer ones (in UTF-16 units) rarely come again. */
const LONGEST_REMEMBERED = 48;

export class WordEncoder {
  readonly #rules = new Map<number, Rule>();
  readonly #byteIds: readonly number[];
  readonly #byteCharacters = byteCharacters();
  readonly #whole: ReadonlyMap<string, number> | undefined;
  readonly #known = new Map<string, readonly number[]>();
  readonly #encoder = new TextEncoder();

  /** Throws Error for a merge of tokens that are not in the vocabulary. */
  constructor({ vocab, merges, ignore_merges: ignore }: MergeTable) {
    const idOf = new Map(Object.entries(vocab));
    const required = (token: string): number => {
      const id = idOf.get(token);
      if (id === undefined) throw new Error(`the token ${JSON.stringify(token)} of a merge is not in the vocabulary`);
      return id;
    };
    for (const [rank, merge] of merges.entries()) {
      const [left, right] = typeof merge === "string" ? merge.split(" ") : merge;
      this.#rules.set(required(left) * BASE + required(right), { rank, id: required(left + right) });
    }
    this.#byteIds = this.#byteCharacters.map(required);
    this.#whole = ignore ? idOf : undefined;
  }

  /** Token ids of a word of well-formed text. */
  encode(word: string): readonly number[] {
    const known = this.#known.get(word);
    if (known !== undefined) return known;
    const bytes = this.#encoder.encode(word);
    const whole = this.#whole?.get(Array.from(bytes, (byte) => this.#byteCharacters[byte]).join(""));
    const ids = whole === undefined ? this.#merged(Array.from(bytes, (byte) => this.#byteIds[byte])) : [whole];
    if (word.length <= LONGEST_REMEMBERED) {
      if (this.#known.size >= REMEMBERED) this.#known.clear();
      this.#known.set(word, ids);
    }
    return ids;
  }

  #merged(symbols: number[]): number[] {
    const count = symbols.length;
    const [before, after] = [symbols.map((_, i) => i - 1), symbols.map((_, i) => i + 1)];
    const places = new Heap<Place>((a, b) => a.rank < b.rank || (a.rank === b.rank && a.at < b.at));
    const ruleAt = (at: number): Rule | undefined =>
      at >= 0 && after[at] < count ? this.#rules.get(symbols[at] * BASE + symbols[after[at]]) : undefined;
    const note = (at: number): void => {
      const rule = ruleAt(at);
      if (rule !== undefined) places.push({ ...rule, at });
    };
    for (let at = 0; at < count; at++) note(at);
    for (let place = places.pop(); place !== undefined; place = places.pop()) {
      const { at, id } = place;
      if (symbols[at] < 0 || ruleAt(at)?.id !== id) continue; // something else was merged there meanwhile
      const taken = after[at];
      symbols[at] = id;
      symbols[taken] = -1;
      after[at] = after[taken];
      if (after[at] < count) before[after[at]] = at;
      note(before[at]);
      note(at);
    }
    return symbols.filter((symbol) => symbol >= 0);
  }
}
