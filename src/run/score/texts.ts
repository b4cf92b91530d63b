/** The documents to score, piece by piece: text in memory, files of any kind that are trained on, or a stream. */
import { LonghandError } from "../../base/errors.ts";
import { type CorpusOptions, openCorpus } from "../../data/sources/corpus.ts";
import { formatOrText } from "../../data/sources/documents.ts";
import { decodeUtf8 } from "../../data/sources/utf8.ts";
import type { TextSource } from "../../data/text-source.ts";
import type { ScorePiece } from "../../use/score/score-pieces.ts";
import { type GivenText, piecesArriving, textPieces } from "../../use/score/score-text.ts";

export interface ScoreTexts {
  readonly pieces: AsyncIterable<ScorePiece>;
  close(): Promise<void>;
}

export interface TextOptions
  extends Pick<CorpusOptions, "field" | "split" | "limit" | "input" | "onWarning" | "onDownload"> {
  /** What to score: paths, patterns, folders, addresses on the hub, or `-`; each file is a document, or has many. */
  readonly data?: string | readonly string[] | undefined;
  /** Or a text, one document. */
  readonly text?: GivenText | undefined;
  /** Ends reading: the document ends where it is. */
  readonly signal?: AbortSignal | undefined;
}

/** Opens everything before any of it is read. Throws "usage" unless there is either `data` or `text`. */
export async function openTexts({ data, text, ...options }: TextOptions): Promise<ScoreTexts> {
  if ((data === undefined) === (text === undefined)) {
    throw new LonghandError("usage", "score: expected either `data` or `text`, got both or neither");
  }
  if (text !== undefined) return { pieces: textPieces(text, options.signal), close: async () => {} };
  const paths = [data ?? []].flat();
  const opened: ScoreTexts[] = [];
  const close = async () => {
    for (const each of opened.splice(0)) await each.close();
  };
  try {
    for (const path of paths) opened.push(path === "-" ? openStream(options) : await openPath(path, options));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    pieces: (async function* () {
      for (const { pieces } of opened) yield* pieces;
    })(),
    close,
  };
}

async function openPath(path: string, options: CorpusOptions): Promise<ScoreTexts> {
  const corpus = await openCorpus(path, options);
  return {
    pieces: (async function* () {
      for (const source of corpus.splits.values()) yield* sourcePieces(source);
    })(),
    close: () => corpus.close(),
  };
}

async function* sourcePieces(source: TextSource): AsyncGenerator<ScorePiece> {
  for await (const { input, document, text, last } of source.pieces()) {
    const { path } = source.inputs[input];
    const many = formatOrText(path).kind !== "text";
    yield { path, ...(many && { record: document + 1 }), text, last };
  }
}

const STANDARD_INPUT = "standard input";

function openStream({ input = process.stdin, signal }: TextOptions): ScoreTexts {
  const stream = input as NodeJS.ReadableStream & { destroy?(): void };
  const parts = decodeUtf8(buffersOf(stream), STANDARD_INPUT);
  return { pieces: piecesArriving(parts, STANDARD_INPUT, signal), close: async () => stream.destroy?.() };
}

async function* buffersOf(stream: NodeJS.ReadableStream): AsyncGenerator<Buffer> {
  for await (const chunk of stream) yield typeof chunk === "string" ? Buffer.from(chunk) : chunk;
}
