/** A decoder: a model that reads a text once, one or many tokens at a time, and predicts the next token after each. */
import { LonghandError } from "../base/errors.ts";
import type { DecoderOptions } from "./programs.ts";
import { readAll, Session, SessionDecoder } from "./session.ts";

/**
 * Logits are unnormalised log-probabilities of the next token, [V] float32. Calls run one after another in the order in
 * which they were made, those of forks included. After release a decoder and its forks throw "engine".
 */
export interface Decoder {
  /** V */
  readonly vocabSize: number;
  /** Tokens of the longest text that it can read; Infinity for a model without a limit. */
  readonly maxLength: number;
  /** Tokens read so far. */
  readonly position: number;
  /** Bytes of the state: the same at every position, but for softmax Transformers and Combiner, whose state grows. */
  readonly stateBytes: number;
  /**
   * Reads one or more tokens, chunk-parallel. Returns the logits after the last of them, [V], or with `logits: "all"`
   * after each, [tokens, V]. They equal those of the forward pass in training over the whole text so far.
   */
  absorb(tokens: ArrayLike<number>, options?: { readonly logits?: "last" | "all" }): Promise<Float32Array>;
  /** Reads tokens and returns -log p(targets[i] | text up to tokens[i]) in nats, [tokens], without keeping logits. */
  losses(tokens: ArrayLike<number>, targets: ArrayLike<number>): Promise<Float32Array>;
  /** Reads one token. The next call, also that of a fork, overwrites the logits [V]. */
  step(token: number): Promise<Float32Array>;
  /** An independent decoder at the same position, with the same programs and parameters. */
  fork(): Promise<Decoder>;
  /** Starts a new text. */
  reset(): Promise<void>;
  /** Frees the programs, those of forks included. */
  release(): Promise<void>;
}

/**
 * Makes a decoder at position 0. Programs are compiled when first needed. Throws "checkpoint" when a parameter is
 * missing or has another size than the model's.
 */
export async function createDecoder(options: DecoderOptions): Promise<Decoder> {
  const session = new Session(options);
  return new SingleDecoder(session, session.reader(1));
}

class SingleDecoder extends SessionDecoder implements Decoder {
  get position(): number {
    return this.reader.state.position(0);
  }

  async absorb(
    tokens: ArrayLike<number>,
    { logits = "last" }: { logits?: "last" | "all" } = {},
  ): Promise<Float32Array> {
    const ids = this.session.check("tokens", tokens);
    const V = this.vocabSize;
    const all = new Float32Array((logits === "all" ? ids.length : 1) * V);
    return this.session.exclusively(async () => {
      this.session.requireRoom(this.position + ids.length);
      await readAll(this.reader, { tokens: ids, readout: logits }, (result, at, count) => {
        if (logits === "last") all.set(result);
        else all.set(result.subarray(0, count * V), at * V);
      });
      return all;
    });
  }

  async losses(tokens: ArrayLike<number>, targets: ArrayLike<number>): Promise<Float32Array> {
    const ids = this.session.check("tokens", tokens);
    const next = this.session.check("targets", targets);
    if (next.length !== ids.length)
      throw new LonghandError("usage", `targets: expected ${ids.length}, one for each token, got ${next.length}`);
    const losses = new Float32Array(ids.length);
    return this.session.exclusively(async () => {
      this.session.requireRoom(this.position + ids.length);
      await readAll(this.reader, { tokens: ids, targets: next, readout: "losses" }, (result, at, count) =>
        losses.set(result.subarray(0, count), at),
      );
      return losses;
    });
  }

  step(token: number): Promise<Float32Array> {
    return this.session.exclusively(async () => {
      this.session.requireToken("token", token);
      this.session.requireRoom(this.position + 1);
      return (await this.reader.read({ tokens: [Int32Array.of(token)], readout: "last" })).result;
    });
  }

  fork(): Promise<Decoder> {
    return this.session.exclusively(async () => {
      const reader = this.session.reader(1);
      await reader.copyFrom(this.reader, 0, 0);
      return new SingleDecoder(this.session, reader);
    });
  }

  reset(): Promise<void> {
    return this.session.exclusively(async () => this.reader.reset());
  }
}
