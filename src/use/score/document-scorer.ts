/** One document under one model, scored as its text comes: tokens, and lines as they end. */
import type { TextTokenizer } from "../../data/tokenizer.ts";
import { LineLedger, type LineUnits } from "./line-ledger.ts";
import { TokenLosses, type TokenLossesOptions } from "./token-losses.ts";
import { unitsOf } from "./units.ts";

export interface TokenUnits {
  readonly token: number;
  /** In which it begins, from 1. */
  readonly line: number;
  readonly units: number;
}

/** What has been scored: either of them, in the order of the text; a token stands before the lines that it ends. */
export type ScoredUnits = { readonly token: TokenUnits } | { readonly line: LineUnits };

export interface DocumentScorerOptions extends TokenLossesOptions {
  readonly tokenizer: Pick<TextTokenizer, "encode" | "bytesOf">;
  /** Whether to return tokens too. */
  readonly tokens: boolean;
}

export class DocumentScorer {
  readonly #options: DocumentScorerOptions;
  readonly #losses: TokenLosses;
  readonly #ledger: LineLedger;
  /** Tokens that wait until there are enough to be read at once. */
  #waiting: Int32Array = new Int32Array(0);

  constructor(options: DocumentScorerOptions) {
    this.#options = options;
    this.#losses = new TokenLosses(options);
    this.#ledger = new LineLedger(options.tokenizer);
  }

  /** The next piece of text, cut where data/pieces.ts allows it. */
  async add(text: string): Promise<ScoredUnits[]> {
    const tokens = await this.#options.tokenizer.encode(text);
    const waiting = new Int32Array(this.#waiting.length + tokens.length);
    waiting.set(this.#waiting);
    waiting.set(tokens, this.#waiting.length);
    this.#waiting = waiting;
    const scored: ScoredUnits[] = [];
    for (let { wanted } = this.#losses; this.#waiting.length >= wanted; { wanted } = this.#losses) {
      await this.#score(wanted, scored);
    }
    return scored;
  }

  /** Scores what still waits. */
  async flush(): Promise<ScoredUnits[]> {
    const scored: ScoredUnits[] = [];
    if (this.#waiting.length > 0) await this.#score(this.#waiting.length, scored);
    return scored;
  }

  /** The last line, after a flush, where no newline has ended it. */
  lastLine(): ScoredUnits[] {
    const line = this.#ledger.end();
    return line ? [{ line }] : [];
  }

  /** Units of the end of the text, after a flush. */
  async endUnits(): Promise<number> {
    const [nats] = await this.#losses.of(Int32Array.of(this.#options.endOfText));
    return unitsOf(nats);
  }

  async #score(count: number, scored: ScoredUnits[]): Promise<void> {
    const tokens = this.#waiting.subarray(0, count);
    const losses = await this.#losses.of(tokens);
    this.#waiting = this.#waiting.slice(count);
    for (const [i, token] of tokens.entries()) {
      const units = unitsOf(losses[i]);
      const { line } = this.#ledger;
      if (this.#options.tokens) scored.push({ token: { token, line, units } });
      for (const line of this.#ledger.add(token, units)) scored.push({ line });
    }
  }
}
