/** What the decoders of one model share: its compiled programs, checks of tokens, and calls that run one at a time. */
import { LonghandError } from "../base/errors.ts";
import { sizeOf } from "../base/shape.ts";
import type { DecodingArchitecture, Readout } from "../nn/decoding.ts";
import { type DecoderOptions, DecodingPrograms } from "./programs.ts";
import { TokenReader } from "./reader.ts";

export class Session {
  readonly architecture: DecodingArchitecture;
  readonly #programs: DecodingPrograms;
  #queue: Promise<unknown> = Promise.resolve();
  readonly #readers: TokenReader[] = [];
  #released = false;

  constructor({ engine, architecture, parameters }: DecoderOptions) {
    for (const { path, shape } of architecture.parameters) {
      const size = sizeOf(shape);
      const length = parameters[path]?.length;
      if (length !== size) {
        throw new LonghandError(
          "checkpoint",
          `parameter ${path}: expected ${size} values [${shape.join(", ")}], got ${length ?? "none"}`,
        );
      }
    }
    this.architecture = architecture;
    this.#programs = new DecodingPrograms({ engine, architecture, parameters });
  }

  reader(texts: number): TokenReader {
    const reader = new TokenReader(this.architecture, this.#programs, texts);
    if (this.#programs.resident) this.#readers.push(reader);
    return reader;
  }

  /** Runs `work` after all earlier calls have ended. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(() => {
      if (this.#released) throw new LonghandError("engine", "decoder: used after release");
      return work();
    });
    this.#queue = result.catch(() => {});
    return result;
  }

  async release(): Promise<void> {
    await this.#queue;
    this.#released = true;
    for (const reader of this.#readers.splice(0)) reader.release();
    await this.#programs.release();
  }

  check(name: string, tokens: ArrayLike<number>): Int32Array {
    if (tokens.length === 0) throw new LonghandError("usage", `${name}: expected at least one token, got none`);
    for (let i = 0; i < tokens.length; i++) this.requireToken(`${name}[${i}]`, tokens[i]);
    return Int32Array.from(tokens);
  }

  requireToken(name: string, token: number): void {
    const { vocabSize } = this.architecture;
    if (!(Number.isInteger(token) && token >= 0 && token < vocabSize)) {
      throw new LonghandError("usage", `${name}: expected a token from 0 to ${vocabSize - 1}, got ${token}`);
    }
  }

  /** Refuses a text that does not fit before any of it is read. */
  requireRoom(length: number): void {
    const { maxLength } = this.architecture;
    if (length > maxLength) {
      throw new LonghandError(
        "usage",
        `text of ${length} tokens: the model was made for at most ${maxLength} (model.maxLength); use a ` +
          "shorter text, or train with a larger maxLength or as flash, which has no such limit",
      );
    }
  }
}

/** What decoders of one text and of many have in common. */
export class SessionDecoder {
  protected readonly session: Session;
  protected readonly reader: TokenReader;

  constructor(session: Session, reader: TokenReader) {
    this.session = session;
    this.reader = reader;
  }

  get vocabSize(): number {
    return this.session.architecture.vocabSize;
  }

  get maxLength(): number {
    return this.session.architecture.maxLength;
  }

  get stateBytes(): number {
    return this.reader.state.bytes;
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

/** Reads all tokens of one text. `take` gets each result with the index of its first token. */
export async function readAll(
  reader: TokenReader,
  request: { readonly tokens: Int32Array; readonly targets?: Int32Array; readonly readout: Readout },
  take: (result: Float32Array, at: number, count: number) => void,
): Promise<void> {
  const { tokens, targets, readout } = request;
  for (let at = 0; at < tokens.length; ) {
    const remaining = { tokens: [tokens.subarray(at)], ...(targets && { targets: [targets.subarray(at)] }), readout };
    const { counts, result } = await reader.read(remaining);
    take(result, at, counts[0]);
    at += counts[0];
  }
}
