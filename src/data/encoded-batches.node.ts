/**
 * The pieces of a text as tokens, in order. Batches of pieces go to worker threads, a fixed number at a time; the text
 * is read further only when one has come back, so that memory is bounded.
 */
import { type EncodedPieces, encodePieces } from "./encode-pieces.ts";
import { EncoderPool, type EncoderPoolOptions } from "./encode-pool.node.ts";
import { tokenWidth } from "./shard-format.ts";
import type { TextPiece } from "./text-source.ts";
import type { TextTokenizer } from "./tokenizer.ts";

export interface EncodedBatch extends EncodedPieces {
  /** Bytes of the text. */
  readonly bytes: number;
  /** The last piece. */
  readonly last: TextPiece;
}

export interface EncodingRequest {
  readonly pieces: AsyncIterable<TextPiece>;
  readonly tokenizer: TextTokenizer;
  /** Worker threads, at least 1. */
  readonly threads: number;
  /** What they run, where it is not the encoder. */
  readonly script?: EncoderPoolOptions["script"];
}

/** A batch ends at this many bytes of text, or pieces where documents are short. */
const BATCH_BYTES = 256 * 1024;
const BATCH_PIECES = 1024;

/**
 * Throws what the source and the tokenizer throw, and "io" when a thread dies; no thread is left running, however it
 * ends. A text of a single batch is encoded in this thread.
 */
export async function* encodedBatches({
  pieces,
  tokenizer,
  threads,
  script,
}: EncodingRequest): AsyncGenerator<EncodedBatch> {
  const width = tokenWidth(tokenizer.vocabSize);
  const pending: { batch: TextPiece[]; encoded: Promise<EncodedPieces> }[] = [];
  let pool: EncoderPool | undefined;
  let first: TextPiece[] | undefined;
  const send = (batch: TextPiece[]) => {
    pool ??= new EncoderPool({ json: tokenizer.json, width, threads, ...(script && { script }) });
    const encoded = pool.encode(batch);
    encoded.catch(() => undefined); // reported where it is awaited
    pending.push({ batch, encoded });
    return pool;
  };
  try {
    for await (const batch of batchesOf(pieces)) {
      if (pool === undefined && first === undefined) {
        first = batch;
        continue;
      }
      if (first !== undefined) send(first);
      first = undefined;
      const { capacity } = send(batch);
      while (pending.length >= capacity) yield await oldest(pending);
    }
    if (first !== undefined) yield withText(first, await encodePieces(tokenizer, width, first));
    while (pending.length > 0) yield await oldest(pending);
  } finally {
    await pool?.close();
  }
}

/**
 * A batch ends with a document where one ends near enough to its full size, and always where a document ends that began
 * in an earlier batch: so an interrupted preparation can continue after every document or two.
 */
async function* batchesOf(pieces: AsyncIterable<TextPiece>): AsyncGenerator<TextPiece[]> {
  let batch: TextPiece[] = [];
  let bytes = 0;
  let spans = false;
  for await (const piece of pieces) {
    batch.push(piece);
    bytes += piece.bytes;
    const full = bytes >= BATCH_BYTES || batch.length >= BATCH_PIECES;
    if (!full && !(piece.last && (spans || bytes >= BATCH_BYTES / 2))) continue;
    yield batch;
    batch = [];
    bytes = 0;
    spans = !piece.last;
  }
  if (batch.length > 0) yield batch;
}

async function oldest(pending: { batch: TextPiece[]; encoded: Promise<EncodedPieces> }[]): Promise<EncodedBatch> {
  const { batch, encoded } = pending[0];
  pending.shift();
  return withText(batch, await encoded);
}

function withText(batch: readonly TextPiece[], encoded: EncodedPieces): EncodedBatch {
  const bytes = batch.reduce((sum, piece) => sum + piece.bytes, 0);
  return { ...encoded, bytes, last: batch[batch.length - 1] };
}
