/**
 * Plain text on disk: one UTF-8 file, or a folder of them, each file one document. Files are streamed: at no time is
 * more than one read buffer and one piece of a file in memory.
 */
import { isUtf8 } from "node:buffer";
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { LonghandError, messageOf } from "../../base/errors.ts";
import { nextCut } from "../pieces.ts";
import type { SourceDocument, TextPiece, TextSource } from "../text-source.ts";

export type { SourceDocument, TextPiece, TextSource } from "../text-source.ts";

const READ_BYTES = 65_536;

// Only prose: program code and data files beside a text often hold the same text again.
const PROSE = "txt text md markdown rst adoc asciidoc org tex log";
const EXTENSIONS: ReadonlySet<string> = new Set(PROSE.split(" ").map((name) => `.${name}`));

/**
 * Opens a text file, or a folder of text files searched recursively. In a folder, hidden entries, empty files and files
 * without a text extension (.txt, .text, .md, .rst, .tex, .log …) are left out, links to folders are not followed, and
 * the order is natural: chapter_2 before chapter_10. A file named directly may have any extension.
 *
 * Throws "data" when there is nothing to read and "io" when the file system refuses. `pieces()` throws "data" at the first
 * byte that is not UTF-8 or is NUL. A byte-order mark at the start of a file is dropped.
 */
export async function openTextSource(path: string): Promise<TextSource> {
  const info = await stat(path).catch((error) => {
    throw fileError(path, error);
  });
  let documents: SourceDocument[];
  if (info.isDirectory()) {
    documents = await documentsBelow(path);
  } else if (!info.isFile()) {
    throw new LonghandError("data", `data: ${path} is neither a file nor a folder`);
  } else if (info.size === 0) {
    throw new LonghandError("data", `data: ${path} is empty; give a file with some text`);
  } else {
    documents = [{ path, bytes: info.size }];
  }
  return {
    path,
    documents,
    totalBytes: documents.reduce((sum, document) => sum + document.bytes, 0),
    async *pieces() {
      for (const [index, document] of documents.entries()) yield* piecesOf(document.path, index);
    },
  };
}

async function documentsBelow(folder: string): Promise<SourceDocument[]> {
  const found: SourceDocument[] = [];
  let empty = 0;
  const waiting = [""];
  for (let below = waiting.pop(); below !== undefined; below = waiting.pop()) {
    const here = join(folder, below);
    const entries = await readdir(here, { withFileTypes: true }).catch((error) => {
      throw fileError(here, error);
    });
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const relative = join(below, entry.name);
      const path = join(folder, relative);
      if (entry.isDirectory()) waiting.push(relative);
      else if (EXTENSIONS.has(extname(entry.name).toLowerCase())) {
        const info = await stat(path).catch((error) => {
          throw fileError(path, error);
        });
        if (!info.isFile()) continue;
        if (info.size === 0) empty++;
        else found.push({ path, bytes: info.size });
      }
    }
  }
  if (found.length === 0) {
    throw new LonghandError(
      "data",
      empty > 0
        ? `data: every text file in the folder ${folder} is empty`
        : `data: the folder ${folder} contains no text files; name them .txt or .md, or give one file by its path`,
    );
  }
  return found.sort((a, b) => compareNaturally(a.path, b.path));
}

/** Order by runs of digits as numbers and everything else by code units, folder by folder; the same in every locale. */
export function compareNaturally(a: string, b: string): number {
  const left = a.split(/(\d+|[\\/])/);
  const right = b.split(/(\d+|[\\/])/);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] === right[i]) continue;
    if (/^\d/.test(left[i]) && /^\d/.test(right[i])) {
      const m = BigInt(left[i]);
      const n = BigInt(right[i]);
      if (m !== n) return m < n ? -1 : 1;
    } else if (isSeparator(left[i]) !== isSeparator(right[i])) {
      return isSeparator(left[i]) ? -1 : 1;
    } else return left[i] < right[i] ? -1 : 1;
  }
  return left.length - right.length || (a < b ? -1 : Number(a > b));
}

function isSeparator(part: string): boolean {
  return part === "/" || part === "\\";
}

async function* piecesOf(path: string, document: number): AsyncGenerator<TextPiece> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    throw fileError(path, error);
  }
  try {
    let text = "";
    let start = 0;
    for await (const { decoded, ended } of decodeFile(file, path)) {
      text = text.slice(start) + decoded;
      start = 0;
      for (let end = nextCut(text, 0, ended); end > start; end = nextCut(text, start, ended)) {
        const piece = text.slice(start, end);
        yield { document, text: piece, bytes: Buffer.byteLength(piece), last: ended && end === text.length };
        start = end;
      }
    }
  } finally {
    await file.close();
  }
}

/** The text of a file, one read buffer at a time; characters cut by the buffer's end wait for the next. */
async function* decodeFile(file: FileHandle, path: string): AsyncGenerator<{ decoded: string; ended: boolean }> {
  const buffer = Buffer.alloc(READ_BYTES + 3);
  let held = 0; // bytes of an unfinished character at the start of the buffer
  let offset = 0; // of the buffer's first byte in the file
  for (let ended = false; !ended; ) {
    const bytesRead = await fill(file, buffer.subarray(held, held + READ_BYTES), path);
    ended = bytesRead < READ_BYTES;
    const available = held + bytesRead;
    const nul = buffer.subarray(0, available).indexOf(0);
    if (offset === 0) refuseUtf16(buffer, available, path);
    if (nul >= 0) {
      throw new LonghandError(
        "data",
        `data: ${path} is binary (a NUL byte at offset ${offset + nul}), not a text file`,
      );
    }
    const complete = ended ? available : available - unfinishedBytes(buffer, available);
    const bytes = buffer.subarray(0, complete);
    if (!isUtf8(bytes)) {
      const at = firstInvalidByte(bytes);
      const byte = bytes[at].toString(16).padStart(2, "0");
      throw new LonghandError(
        "data",
        `data: ${path} is not UTF-8: invalid byte 0x${byte} at offset ${offset + at}; convert it first, for example with iconv`,
      );
    }
    const mark = offset === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
    yield { decoded: bytes.toString("utf8", mark), ended };
    buffer.copyWithin(0, complete, available);
    held = available - complete;
    offset += complete;
  }
}

/** Reads until the buffer is full or the file ends; the bytes read. */
async function fill(file: FileHandle, buffer: Buffer, path: string): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled).catch((error) => {
      throw fileError(path, error);
    });
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

function refuseUtf16(buffer: Buffer, length: number, path: string): void {
  if (length < 2) return;
  const mark = buffer.readUInt16BE(0);
  if (mark === 0xfffe || mark === 0xfeff) {
    throw new LonghandError("data", `data: ${path} is UTF-16, not UTF-8; convert it first, for example with iconv`);
  }
}

/** How many bytes at the end begin a character that is not complete; at most 3. */
function unfinishedBytes(buffer: Buffer, length: number): number {
  for (let back = 1; back <= Math.min(3, length); back++) {
    const byte = buffer[length - back];
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0;
  }
  return 0;
}

/** The offset of the first byte that cannot continue valid UTF-8 (the table of Unicode 15, section 3.9). */
function firstInvalidByte(bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; ) {
    const lead = bytes[i];
    const size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (size === 0) return i;
    for (let k = 1; k < size; k++) {
      const byte = bytes[i + k];
      if (byte === undefined) return i;
      const low = k > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
      const high = k > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
      if (byte < low || byte > high) return i;
    }
    i += size;
  }
  return bytes.length;
}

function fileError(path: string, error: unknown): LonghandError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new LonghandError("data", `data: ${path} does not exist; give a UTF-8 text file or a folder of them`);
  }
  if (code === "EACCES" || code === "EPERM") {
    return new LonghandError("io", `data: no permission to read ${path}`, { cause: error });
  }
  return new LonghandError("io", `data: cannot read ${path}: ${messageOf(error)}`, { cause: error });
}
