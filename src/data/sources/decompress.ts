/**
 * gzip and zstd, streamed. gzip is Node's; zstd is fzstd, because Node 20 has none: pure JavaScript, and far faster
 * than the tokenizer behind it. Both read files of several members or frames.
 */
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { Decompress, ZstdErrorCode } from "fzstd";
import { LonghandError, messageOf } from "../../base/errors.ts";

export type Compression = "none" | "gzip" | "zstd";

/** The bytes of a compressed stream; throws "data" naming the file when it is cut off, damaged or something else. */
export function decompress(
  chunks: AsyncIterable<Buffer>,
  compression: Compression,
  path: string,
): AsyncIterable<Buffer> {
  if (compression === "none") return chunks;
  return compression === "gzip" ? gunzip(chunks, path) : unzstd(chunks, path);
}

async function* gunzip(chunks: AsyncIterable<Buffer>, path: string): AsyncGenerator<Buffer> {
  const stream = createGunzip();
  // One buffer ahead, no more: how much has been read is what progress and estimates go by.
  const source = Readable.from(chunks, { highWaterMark: 1 });
  pipeline(source, stream, () => {}); // an error destroys the stream, and is thrown below
  try {
    yield* stream;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (!code.startsWith("Z_")) throw error;
    throw code === "Z_BUF_ERROR" ? cutOff(path, "gzip", error) : damaged(path, "gzip", error);
  }
}

async function* unzstd(chunks: AsyncIterable<Buffer>, path: string): AsyncGenerator<Buffer> {
  const waiting: Buffer[] = [];
  const decoder = new Decompress((data) => {
    if (data.length > 0) waiting.push(Buffer.from(data.buffer, data.byteOffset, data.length));
  });
  const push = (chunk: Uint8Array, final: boolean) => {
    try {
      decoder.push(chunk, final);
    } catch (error) {
      const { code } = error as { code?: number };
      if (code === ZstdErrorCode.WindowSizeTooLarge) {
        throw new LonghandError("data", `data: ${path} was compressed with zstd --long; compress it again without`);
      }
      throw code === ZstdErrorCode.UnexpectedEOF ? cutOff(path, "zstd", error) : damaged(path, "zstd", error);
    }
    return waiting.splice(0);
  };
  for await (const chunk of chunks) yield* push(chunk, false);
  yield* push(new Uint8Array(0), true);
}

function cutOff(path: string, kind: string, cause: unknown): LonghandError {
  return new LonghandError("data", `data: ${path} is cut off: its ${kind} data has no end; fetch it again`, { cause });
}

function damaged(path: string, kind: string, cause: unknown): LonghandError {
  return new LonghandError("data", `data: ${path} is not a ${kind} file or is damaged (${messageOf(cause)})`, {
    cause,
  });
}
