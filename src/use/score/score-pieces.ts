/**
 * Texts scored under a model, piece by piece: a record of every line as it ends, and of every document at its end; beside it
 * what it is to another model. Each document is read once, in memory that does not depend on its length.
 */
import { LonghandError } from "../../base/errors.ts";
import type { Decoder } from "../../generate/decoder.ts";
import { decodingArchitecture } from "../../models/decoding.ts";
import { stateGrows } from "../../nn/decoding.ts";
import type { LoadedModel } from "../loaded-model.ts";
import { DocumentScorer, type ScoredUnits } from "./document-scorer.ts";
import type { LineUnits } from "./line-ledger.ts";
import { beside, type ScoredDocument, type ScoreRecord, surpriseOf, Total, tokenRecord } from "./records.ts";
import { bitsOf } from "./units.ts";

export interface ScorePiece {
  readonly path: string;
  /** Of a file of many documents, from 1. */
  readonly record?: number;
  readonly text: string;
  /** Whether the document ends with it. The last document also ends with the last piece. */
  readonly last: boolean;
  /** Whether the input has paused, so that nothing should wait for more. */
  readonly pause?: boolean;
}

export interface ScorePiecesOptions {
  /** The first is scored, a second stands beside it, whatever its tokenizer. */
  readonly models: readonly LoadedModel[];
  /** What windowOf says of each. */
  readonly windows: readonly (number | undefined)[];
  /** Whether to return a record of each token too. */
  readonly tokens: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Cut where data/pieces.ts allows it. When the signal is raised the document ends where it is, after the piece in hand. */
export async function* scorePieces(
  pieces: AsyncIterable<ScorePiece>,
  { models, windows, tokens, signal }: ScorePiecesOptions,
): AsyncGenerator<ScoreRecord, void, undefined> {
  let document: Document | undefined;
  try {
    let number = 0;
    for await (const piece of pieces) {
      document ??= await Document.begin({ models, windows, tokens, number: ++number, piece });
      yield* await document.add(piece);
      if (signal?.aborted) break;
      if (!piece.last) continue;
      yield* await document.end(true);
      document.release();
      document = undefined;
    }
    if (document) yield* await document.end(!signal?.aborted);
  } finally {
    document?.release();
  }
}

/** Tokens of the windows in which a model reads a document, or undefined where it reads it whole. */
export function windowOf({ path, config }: LoadedModel, context: number | undefined): number | undefined {
  const { model, training } = config;
  if (training.objective !== "causal") {
    throw new LonghandError(
      "usage",
      `${path}: it was trained with the ${training.objective} objective and sees both sides of a token; score takes a causal model`,
    );
  }
  const architecture = decodingArchitecture(model);
  const { maxLength } = architecture;
  if (context !== undefined && context > maxLength) {
    const problem = `this ${model.architecture} model is made for at most ${maxLength} tokens`;
    throw new LonghandError("usage", `\`context\` ${context}: ${problem}`);
  }
  if (context !== undefined) return context;
  return stateGrows(architecture) || maxLength < Number.POSITIVE_INFINITY
    ? Math.min(training.context, maxLength)
    : undefined;
}

interface DocumentOptions {
  readonly models: readonly LoadedModel[];
  readonly windows: readonly (number | undefined)[];
  readonly tokens: boolean;
  readonly number: number;
  /** Its first. */
  readonly piece: ScorePiece;
}

/** A document under one model, or under two side by side. */
class Document {
  readonly #options: DocumentOptions;
  readonly #scorers: readonly DocumentScorer[];
  /** Gives the decoders back. */
  readonly release: () => void;
  readonly #totals: readonly Total[];
  /**
   * Lines of the second model, and lines and tokens of the first, that wait for each other. Tokens wait for lines before
   * them alone, so that few do on a line of any length.
   */
  #own: ScoredUnits[] = [];
  #others: LineUnits[] = [];

  static async begin(options: DocumentOptions): Promise<Document> {
    const decoders: Decoder[] = [];
    for (const { decoders: own } of options.models) decoders.push(await own.take());
    const scorers = options.models.map(
      ({ tokenizer }, i) =>
        new DocumentScorer({
          decoder: decoders[i],
          tokenizer,
          endOfText: tokenizer.special.endOfText,
          window: options.windows[i],
          tokens: options.tokens && i === 0,
        }),
    );
    return new Document(options, scorers, () => {
      for (const [i, { decoders: own }] of options.models.entries()) own.giveBack(decoders[i]);
    });
  }

  private constructor(options: DocumentOptions, scorers: readonly DocumentScorer[], release: () => void) {
    this.#options = options;
    this.#scorers = scorers;
    this.release = release;
    this.#totals = scorers.map(() => new Total());
  }

  async add({ text, pause }: ScorePiece): Promise<ScoreRecord[]> {
    return this.#each(async (scorer) => {
      const scored = await scorer.add(text);
      return pause ? [...scored, ...(await scorer.flush())] : scored;
    });
  }

  /** `whole`: whether the document really ends here. */
  async end(whole: boolean): Promise<ScoreRecord[]> {
    const records = await this.#each(async (scorer) => [...(await scorer.flush()), ...scorer.lastLine()]);
    const endUnits = whole ? await this.#scorers[0].endUnits() : undefined;
    const { number, piece, windows } = this.#options;
    const [own, other] = this.#totals;
    const document: ScoredDocument = {
      type: "document",
      document: number,
      path: piece.path,
      ...(piece.record !== undefined && { record: piece.record }),
      lines: own.lines,
      bytes: own.bytes,
      ...own.surprise,
      ...(endUnits !== undefined && { endBits: bitsOf(endUnits) }),
      window: windows[0] ?? null,
      ...(other && { against: beside(own.surprise, other.surprise) }),
    };
    return [...records, document];
  }

  async #each(work: (scorer: DocumentScorer) => Promise<ScoredUnits[]>): Promise<ScoreRecord[]> {
    const [own, other] = this.#scorers;
    // One at a time: a piece can have more tokens than a call can have arguments.
    for (const each of await work(own)) this.#own.push(each);
    if (other) for (const each of await work(other)) if ("line" in each) this.#others.push(each.line);
    const records: ScoreRecord[] = [];
    let [taken, paired] = [0, 0];
    for (const each of this.#own) {
      if ("line" in each && other && paired === this.#others.length) break;
      taken++;
      if ("line" in each) records.push(this.#lineRecord(each.line, other && this.#others[paired++]));
      else records.push(tokenRecord(this.#options.models[0].tokenizer, this.#options.number, each.token));
    }
    this.#own = this.#own.slice(taken);
    this.#others = this.#others.slice(paired);
    return records;
  }

  #lineRecord(own: LineUnits, other: LineUnits | undefined): ScoreRecord {
    const { line, bytes, text, cut } = own;
    const { number: document, piece } = this.#options;
    this.#totals[0].add(own);
    if (other) this.#totals[1].add(other);
    const surprise = surpriseOf(own);
    return {
      ...{ type: "line", document, path: piece.path, line, bytes, ...surprise },
      ...(other && { against: beside(surprise, surpriseOf(other)) }),
      text,
      ...(cut && { cut }),
    };
  }
}
