/** One continuation as it is written: what its request asks for, applied to logits; what of it the client is told. */
import { Continuation, type ContinuationTokenizer } from "../../generate/continuation.ts";
import type { CompletionJob, Piece, TokenRecord } from "../protocol.ts";
import { TokenRecords } from "./token-records.ts";

interface StreamOptions {
  readonly job: CompletionJob;
  /** Prompt times n plus continuation. */
  readonly choice: number;
  readonly vocabSize: number;
  readonly tokenizer: ContinuationTokenizer;
  /** UTF-16 units of the prompt that come before it in the choice's text. */
  readonly told: number;
}

export class Stream {
  readonly choice: number;
  readonly #limit: number;
  readonly #continuation: Continuation;
  readonly #counts: Map<number, number> | undefined;
  readonly #records: TokenRecords | undefined;
  /** Records of tokens whose text is held back. */
  readonly #held: TokenRecord[] = [];
  /** UTF-16 units told so far. */
  #told: number;
  readonly written: number[] = [];
  #last: number | undefined;
  #finished = false;

  constructor({ job, choice, vocabSize, tokenizer, told }: StreamOptions) {
    const { n, seed, logprobs, stop, bias, presencePenalty, frequencyPenalty, sampling } = job;
    this.choice = choice;
    this.#limit = job.tokens;
    this.#records = logprobs === undefined ? undefined : new TokenRecords(tokenizer, logprobs, told);
    this.#told = told;
    const counts = presencePenalty !== 0 || frequencyPenalty !== 0 ? new Map<number, number>() : undefined;
    this.#counts = counts;
    const adjust = (logits: Float32Array) => {
      for (const [token, value] of bias) logits[token] += value;
      for (const [token, count] of counts ?? []) logits[token] -= presencePenalty + count * frequencyPenalty;
    };
    const index = choice % n;
    const changes = bias.length > 0 || counts !== undefined;
    const own = { ...sampling, tokenizer, vocabSize, seed, index, stop };
    this.#continuation = new Continuation({ ...own, ...(changes && { adjust }) });
  }

  /** The token that is to be read next; undefined where the model ended the text. */
  get last(): number | undefined {
    return this.#last;
  }

  get finished(): boolean {
    return this.#finished;
  }

  /** Takes note of the text before, for the repetition penalty. */
  read(tokens: Iterable<number>): void {
    this.#continuation.read(tokens);
  }

  /** Chooses a token after logits [V]. Returns what the client is told, if anything. */
  take(logits: Float32Array): Piece | undefined {
    const token = this.#continuation.choose(logits);
    this.#last = token;
    if (token === undefined) return this.#finish("", "stop");
    this.written.push(token);
    if (this.#counts) this.#counts.set(token, (this.#counts.get(token) ?? 0) + 1);
    if (this.#records) this.#held.push(this.#records.record(token, logits));
    const text = this.#continuation.textOf(token);
    if (this.#continuation.stopped) return this.#finish(text, "stop");
    if (this.#continuation.tokens === this.#limit) return this.#finish(text, "length");
    return text === "" ? undefined : { choice: this.choice, text, ...this.#tell(text) };
  }

  /** The piece that ends it. */
  #finish(piece: string, reason: "stop" | "length"): Piece {
    const text = piece + this.#continuation.rest();
    const finish = this.#continuation.stopped ? "stop" : reason;
    this.#finished = true;
    return { choice: this.choice, text, ...this.#tell(text, finish === "length"), finish };
  }

  /** The records of tokens that begin in the text told so far; with `all`, of those too that brought no whole character. */
  #tell(text: string, all = false): Pick<Piece, "records"> {
    this.#told += text.length;
    if (this.#records === undefined) return {};
    let count = 0;
    while (count < this.#held.length && (all || this.#held[count].offset < this.#told)) count++;
    return { records: this.#held.splice(0, count) };
  }
}
