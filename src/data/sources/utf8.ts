/** Bytes to text, checked: bytes that are not UTF-8, and NUL, are refused by file and offset, never replaced. */
import { isUtf8 } from "node:buffer";
import { LonghandError } from "../../base/errors.ts";
import { nextCut } from "../pieces.ts";

/**
 * The text of a byte stream, one buffer at a time; a character cut by a buffer's end waits for the next. Throws "data"
 * at the first byte that is not UTF-8 or is NUL. A byte-order mark at the start is dropped.
 */
export async function* decodeUtf8(chunks: AsyncIterable<Buffer>, path: string): AsyncGenerator<string> {
  let held: Buffer = Buffer.alloc(0); // an unfinished character
  let offset = 0; // of `held` in the stream
  const decode = (buffer: Buffer, ended: boolean): string => {
    const nul = buffer.indexOf(0);
    if (offset === 0) refuseUtf16(buffer, path);
    if (nul >= 0) {
      throw new LonghandError(
        "data",
        `data: ${path} is binary (a NUL byte at offset ${offset + nul}), not a text file`,
      );
    }
    const complete = ended ? buffer.length : buffer.length - unfinishedBytes(buffer);
    const bytes = buffer.subarray(0, complete);
    if (!isUtf8(bytes)) {
      const at = firstInvalidByte(bytes);
      const byte = bytes[at].toString(16).padStart(2, "0");
      throw new LonghandError(
        "data",
        `data: ${path} is not UTF-8: invalid byte 0x${byte} at offset ${offset + at}; convert it first, for example with iconv`,
      );
    }
    const mark = offset === 0 ? markBytes(bytes) : 0;
    held = buffer.subarray(complete);
    offset += complete;
    return bytes.toString("utf8", mark);
  };
  for await (const chunk of chunks) yield decode(held.length === 0 ? chunk : Buffer.concat([held, chunk]), false);
  if (held.length > 0) yield decode(held, true);
}

/** The pieces of one document whose text arrives in parts; nothing for no text. */
export async function* cutPieces(parts: AsyncIterable<string>): AsyncGenerator<{ text: string; last: boolean }> {
  let text = "";
  for await (const part of parts) {
    text += part;
    let start = 0;
    for (let end = nextCut(text, 0, false); end > start; end = nextCut(text, start, false)) {
      yield { text: text.slice(start, end), last: false };
      start = end;
    }
    text = text.slice(start);
  }
  for (let start = 0; start < text.length; ) {
    const end = nextCut(text, start, true);
    yield { text: text.slice(start, end), last: end === text.length };
    start = end;
  }
}

/** Bytes of a byte-order mark at the start: 3 or 0. */
export function markBytes(bytes: Uint8Array): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

function refuseUtf16(buffer: Buffer, path: string): void {
  if (buffer.length < 2) return;
  const mark = buffer.readUInt16BE(0);
  if (mark === 0xfffe || mark === 0xfeff) {
    throw new LonghandError("data", `data: ${path} is UTF-16, not UTF-8; convert it first, for example with iconv`);
  }
}

/** How many bytes at the end begin a character that is not complete; at most 3. */
function unfinishedBytes(buffer: Buffer): number {
  for (let back = 1; back <= Math.min(3, buffer.length); back++) {
    const byte = buffer[buffer.length - back];
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0;
  }
  return 0;
}

/** The offset of the first byte that is not UTF-8: where a lenient decoder writes a U+FFFD that is not in the text. */
function firstInvalidByte(bytes: Buffer): number {
  const text = bytes.toString("utf8");
  for (let at = text.indexOf("\ufffd"); at >= 0; at = text.indexOf("\ufffd", at + 1)) {
    const offset = Buffer.byteLength(text.slice(0, at));
    const isReplacementItself = bytes.subarray(offset, offset + 3).equals(Buffer.from("\ufffd"));
    if (!isReplacementItself) return offset;
  }
  return bytes.length;
}
