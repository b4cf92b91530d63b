/**
 * Texts that are read part by part, in turn with each other and with the steps of texts that are written, so that a long
 * prompt keeps nobody waiting for longer than a part. Parts end at the same places of a text whoever else is there: bits do
 * not depend on the load.
 */
import type { TokenReader } from "../../generate/reader.ts";
import type { Session } from "../../generate/session.ts";
import type { DecodingArchitecture, Readout } from "../../nn/decoding.ts";
import { Lane } from "../../service/lane.ts";

/** Tokens of a part, or those of a span where it is longer. */
const PART_TOKENS = 256;

export function partTokens({ span }: Pick<DecodingArchitecture, "span">): number {
  return Number.isFinite(span) ? span * Math.max(1, Math.floor(PART_TOKENS / span)) : PART_TOKENS;
}

export interface ReadRequest {
  readonly tokens: Int32Array;
  /** For losses: the token that follows each. */
  readonly targets?: Int32Array;
  readonly readout: Readout;
  readonly signal: AbortSignal;
  /** Gets each result with the index of its first token and the number of tokens; it is overwritten afterwards. */
  readonly take: (result: Float32Array, at: number, count: number) => void;
}

export class Readings {
  readonly #session: Session;
  readonly #part: number;
  /** Of all parts only one waits for the engine, so that a step comes after each. */
  readonly #lane = new Lane();
  readonly #free: TokenReader[] = [];

  constructor(session: Session) {
    this.#session = session;
    this.#part = partTokens(session.architecture);
  }

  get part(): number {
    return this.#part;
  }

  /** Of the state of a new text. */
  get stateBytes(): number {
    return (this.#free.at(-1) ?? this.#session.reader(1)).state.bytes;
  }

  /** A reader at the beginning of a text, for the caller until it is given back. */
  take(): TokenReader {
    const reader = this.#free.pop() ?? this.#session.reader(1);
    reader.reset();
    return reader;
  }

  giveBack(reader: TokenReader): void {
    this.#free.push(reader);
  }

  /** Runs `work` between two parts and steps. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#session.exclusively(work);
  }

  async read(reader: TokenReader, { tokens, targets, readout, signal, take }: ReadRequest): Promise<void> {
    for (let at = 0; at < tokens.length; ) {
      const end = Math.min(tokens.length, at + this.#part - (reader.state.position(0) % this.#part));
      await this.#lane.run(() =>
        this.#session.exclusively(async () => {
          while (at < end) {
            signal.throwIfAborted();
            const part = { tokens: [tokens.subarray(at, end)], readout };
            const next = targets && { targets: [targets.subarray(at, end)] };
            const { counts, result } = await reader.read({ ...part, ...next });
            take(result, at, counts[0]);
            at += counts[0];
          }
        }),
      );
    }
  }
}
