/**
 * A decoder of a batch of texts, each at a position of its own: reading the weights once for all of them is most of
 * what a step of a single text costs.
 */
import { LonghandError } from "../base/errors.ts";
import type { DecoderOptions } from "./programs.ts";
import type { TokenReader } from "./reader.ts";
import { readAll, Session } from "./session.ts";

/** Calls run one after the other, in the order in which they were made. */
export interface BatchDecoder {
  readonly vocabSize: number;
  readonly maxLength: number;
  /** B */
  readonly texts: number;
  /** Bytes of the state of all texts. */
  readonly stateBytes: number;
  /** Tokens that a text has read. */
  position(text: number): number;
  /** Reads one or more tokens of one text, chunk-parallel. Returns the logits after the last of them, [V]. */
  absorb(text: number, tokens: ArrayLike<number>): Promise<Float32Array>;
  /** Reads one token of each text, or none where there is undefined. Logits [B, V], overwritten by the next call. */
  step(tokens: readonly (number | undefined)[]): Promise<Float32Array>;
  /** Back to the start of one text. */
  reset(text: number): Promise<void>;
  /** Makes text `to` a copy of text `from`, from where both go their own way. */
  copy(from: number, to: number): Promise<void>;
  /** Frees the programs. */
  release(): Promise<void>;
}

/** Makes a decoder of so many texts, each at position 0; throws as createDecoder, and "usage" for a count below 1. */
export async function createBatchDecoder({
  texts,
  ...options
}: DecoderOptions & { readonly texts: number }): Promise<BatchDecoder> {
  if (!(Number.isInteger(texts) && texts >= 1))
    throw new LonghandError("usage", `texts: expected a whole number of 1 or more, got ${texts}`);
  return new TextBatch(new Session(options), texts);
}

class TextBatch implements BatchDecoder {
  readonly texts: number;
  readonly #session: Session;
  readonly #reader: TokenReader;
  /** Reads prompts, one text at a time. */
  readonly #single: TokenReader;

  constructor(session: Session, texts: number) {
    this.texts = texts;
    this.#session = session;
    this.#reader = session.reader(texts);
    this.#single = session.reader(1);
  }

  get vocabSize(): number {
    return this.#session.architecture.vocabSize;
  }

  get maxLength(): number {
    return this.#session.architecture.maxLength;
  }

  get stateBytes(): number {
    return this.#reader.state.bytes;
  }

  position(text: number): number {
    this.#require("text", text);
    return this.#reader.state.position(text);
  }

  async absorb(text: number, tokens: ArrayLike<number>): Promise<Float32Array> {
    this.#require("text", text);
    const ids = this.#session.check("tokens", tokens);
    return this.#session.exclusively(async () => {
      const { state } = this.#reader;
      this.#session.requireRoom(state.position(text) + ids.length);
      await this.#single.copyFrom(this.#reader, text, 0);
      let logits = new Float32Array();
      await readAll(this.#single, { tokens: ids, readout: "last" }, (result) => {
        logits = Float32Array.from(result);
      });
      await this.#reader.copyFrom(this.#single, 0, text);
      return logits;
    });
  }

  step(tokens: readonly (number | undefined)[]): Promise<Float32Array> {
    return this.#session.exclusively(async () => {
      if (tokens.length !== this.texts || tokens.every((token) => token === undefined)) {
        const got = tokens.filter((token) => token !== undefined).length;
        throw new LonghandError(
          "usage",
          `tokens: expected one for some of ${this.texts} texts, got ${got} of ${tokens.length}`,
        );
      }
      for (const [text, token] of tokens.entries()) {
        if (token === undefined) continue;
        this.#session.requireToken(`tokens[${text}]`, token);
        this.#session.requireRoom(this.#reader.state.position(text) + 1);
      }
      const given = tokens.map((token) => (token === undefined ? new Int32Array() : Int32Array.of(token)));
      return (await this.#reader.read({ tokens: given, readout: "last" })).result;
    });
  }

  async reset(text: number): Promise<void> {
    this.#require("text", text);
    return this.#session.exclusively(() => this.#reader.onHost(() => this.#reader.state.reset(text)));
  }

  async copy(from: number, to: number): Promise<void> {
    this.#require("from", from);
    this.#require("to", to);
    return this.#session.exclusively(async () => {
      if (from !== to) await this.#reader.copyFrom(this.#reader, from, to);
    });
  }

  release(): Promise<void> {
    return this.#session.release();
  }

  #require(name: string, text: number): void {
    if (!(Number.isInteger(text) && text >= 0 && text < this.texts))
      throw new LonghandError("usage", `${name}: expected a text from 0 to ${this.texts - 1}, got ${text}`);
  }
}
