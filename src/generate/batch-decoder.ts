/**
 * A decoder for a batch of texts, each at its own position. Reading the weights is most of the cost of a step, and here
 * they are read once for all texts.
 */
import { LonghandError } from "../base/errors.ts";
import type { DecoderOptions } from "./programs.ts";
import type { TokenReader } from "./reader.ts";
import { readAll, Session, SessionDecoder } from "./session.ts";

/** Calls run one after another, in the order in which they were made. */
export interface BatchDecoder {
  readonly vocabSize: number;
  readonly maxLength: number;
  /** B */
  readonly texts: number;
  /** Bytes of the states of all texts. */
  readonly stateBytes: number;
  /** Tokens read so far of a text. */
  position(text: number): number;
  /** Reads one or more tokens of one text, chunk-parallel. Returns the logits after the last of them, [V]. */
  absorb(text: number, tokens: ArrayLike<number>): Promise<Float32Array>;
  /** Reads one token of each text, or none where it is undefined. The next call overwrites the logits [B, V]. */
  step(tokens: readonly (number | undefined)[]): Promise<Float32Array>;
  /** Starts a new text in place of one. */
  reset(text: number): Promise<void>;
  /** Makes text `to` a copy of text `from`; from then on they are independent. */
  copy(from: number, to: number): Promise<void>;
  /** Frees the programs. */
  release(): Promise<void>;
}

/** A decoder of so many texts, each at position 0. Throws like createDecoder, and "usage" for fewer than one text. */
export async function createBatchDecoder({
  texts,
  ...options
}: DecoderOptions & { readonly texts: number }): Promise<BatchDecoder> {
  if (!(Number.isInteger(texts) && texts >= 1))
    throw new LonghandError("usage", `texts: expected a whole number of 1 or more, got ${texts}`);
  return new TextBatch(new Session(options), texts);
}

class TextBatch extends SessionDecoder implements BatchDecoder {
  readonly texts: number;
  /** Reads prompts, one text at a time. */
  readonly #single: TokenReader;

  constructor(session: Session, texts: number) {
    super(session, session.reader(texts));
    this.texts = texts;
    this.#single = session.reader(1);
  }

  position(text: number): number {
    this.#require("text", text);
    return this.reader.state.position(text);
  }

  async absorb(text: number, tokens: ArrayLike<number>): Promise<Float32Array> {
    this.#require("text", text);
    const ids = this.session.check("tokens", tokens);
    return this.session.exclusively(async () => {
      const { state } = this.reader;
      this.session.requireRoom(state.position(text) + ids.length);
      await this.#single.copyFrom(this.reader, text, 0);
      let logits = new Float32Array();
      await readAll(this.#single, { tokens: ids, readout: "last" }, (result) => {
        logits = Float32Array.from(result);
      });
      await this.reader.copyFrom(this.#single, 0, text);
      return logits;
    });
  }

  step(tokens: readonly (number | undefined)[]): Promise<Float32Array> {
    return this.session.exclusively(async () => {
      if (tokens.length !== this.texts || tokens.every((token) => token === undefined)) {
        const got = tokens.filter((token) => token !== undefined).length;
        throw new LonghandError(
          "usage",
          `tokens: expected one for some of ${this.texts} texts, got ${got} of ${tokens.length}`,
        );
      }
      for (const [text, token] of tokens.entries()) {
        if (token === undefined) continue;
        this.session.requireToken(`tokens[${text}]`, token);
        this.session.requireRoom(this.reader.state.position(text) + 1);
      }
      const given = tokens.map((token) => (token === undefined ? new Int32Array() : Int32Array.of(token)));
      return (await this.reader.read({ tokens: given, readout: "last" })).result;
    });
  }

  async reset(text: number): Promise<void> {
    this.#require("text", text);
    return this.session.exclusively(() => this.reader.onHost(() => this.reader.state.reset(text)));
  }

  async copy(from: number, to: number): Promise<void> {
    this.#require("from", from);
    this.#require("to", to);
    return this.session.exclusively(async () => {
      if (from !== to) await this.reader.copyFrom(this.reader, from, to);
    });
  }

  #require(name: string, text: number): void {
    if (!(Number.isInteger(text) && text >= 0 && text < this.texts))
      throw new LonghandError("usage", `${name}: expected a text from 0 to ${this.texts - 1}, got ${text}`);
  }
}
