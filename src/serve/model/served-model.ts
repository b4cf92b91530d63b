/** A model as it is served: what its jobs share. */
import type { TextTokenizer } from "../../data/tokenizer.ts";
import { Session } from "../../generate/session.ts";
import { decodingArchitecture } from "../../models/decoding.ts";
import type { LoadedModel } from "../../run/use/model.ts";
import { RequestError } from "../../service/failure.ts";
import type { Input, ModelSetup, Piece } from "../protocol.ts";
import { Places } from "./places.ts";
import { Prefixes } from "./prefixes.ts";
import { Readings } from "./reading.ts";
import type { Sessions } from "./sessions.ts";
import { Together } from "./together.ts";

export interface Counters {
  promptTokens: number;
  cachedTokens: number;
  writtenTokens: number;
}

/** What is told of pieces, at the end of each step. */
export type Tell = (id: number, piece: Piece) => void;

/** A causal model: it reads and writes. */
export class ServedModel {
  readonly setup: ModelSetup;
  readonly tokenizer: TextTokenizer;
  readonly session: Session;
  readonly readings: Readings;
  readonly together: Together;
  /** One for each text that is read or written. */
  readonly places: Places;
  readonly prefixes: Prefixes;
  readonly sessions: Sessions;
  readonly counters: Counters = { promptTokens: 0, cachedTokens: 0, writtenTokens: 0 };

  constructor(
    model: LoadedModel,
    setup: ModelSetup,
    { session, sessions, afterStep }: { session: Session; sessions: Sessions; afterStep: () => void },
  ) {
    const { batch, exact, prefixMegabytes } = setup.settings;
    this.setup = setup;
    this.tokenizer = model.tokenizer;
    this.session = session;
    this.sessions = sessions;
    this.readings = new Readings(session);
    this.together = new Together(session, { most: batch, exact, afterStep });
    this.places = new Places(batch);
    this.prefixes = new Prefixes(session.architecture, this.readings.part, prefixMegabytes * 1e6);
  }

  get vocabSize(): number {
    return this.session.architecture.vocabSize;
  }

  /** The tokens of a prompt or another input. Throws for one that is too long, or no text of this model. */
  async tokensOf(input: Input, name: string): Promise<Int32Array> {
    const { promptTokens } = this.setup.settings;
    const { vocabSize } = this.tokenizer;
    const tokens = typeof input === "string" ? await this.tokenizer.encode(input) : Int32Array.from(input);
    const wrong = tokens.find((token) => token < 0 || token >= vocabSize);
    if (wrong !== undefined)
      throw new RequestError(400, `${name}: expected tokens from 0 to ${vocabSize - 1}, got ${wrong}`, { param: name });
    if (tokens.length > promptTokens)
      throw new RequestError(400, `${name}: expected at most ${promptTokens} tokens, got ${tokens.length}`, {
        code: "context_length_exceeded",
        param: name,
      });
    return tokens;
  }

  /** Throws where so many tokens are more than the model can read. */
  requireRoom(tokens: number): void {
    const { maxLength } = this.session.architecture;
    if (tokens <= maxLength) return;
    const problem = `this model was made for at most ${maxLength} tokens, and prompt and continuation have ${tokens}`;
    throw new RequestError(400, problem, { code: "context_length_exceeded", param: "prompt" });
  }
}

export function sessionOf({ engine, config, parameters }: LoadedModel): Session {
  const arrays = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
  return new Session({ engine, architecture: decodingArchitecture(config.model), parameters: arrays });
}
