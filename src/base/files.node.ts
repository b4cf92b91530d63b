/**
 * Reading and writing files to the last byte (one system call may do less than it is asked), checksums, and what the
 * system refuses as one sentence: the path, what is the matter, what to do about it.
 */
import { createHash } from "node:crypto";
import { statfsSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { LonghandError, messageOf } from "./errors.ts";

/** Linux reads and writes less than 2 GiB in one call; hashing takes no more either. */
const MAX_CALL_BYTES = 2 ** 30;

export interface WriteAdvice {
  /** How many bytes the whole write takes, to say how much space is missing. */
  readonly bytes?: number;
  /** What to do once there is space: "run the same command again" unless said otherwise. */
  readonly again?: string;
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "no permission to write there; choose another folder or change its permissions",
  EPERM: "the system does not permit it; choose another folder or change its permissions",
  EROFS: "the file system is read-only; choose a folder on another one",
  EFBIG: "the file would be larger than the file system or a limit of this process (ulimit -f) allows",
  EIO: "the disk reports an error; check it, or choose a folder on another one",
  ENOENT: "its folder does not exist",
  ENOTDIR: "a part of its path is a file, not a folder",
  EISDIR: "a folder of that name exists",
  EEXIST: "something of that name exists",
  ENAMETOOLONG: "the name is too long; choose a shorter one",
  EMFILE: "too many files are open in this process (ulimit -n)",
  EBUSY: "another program is using it",
};

/** The system's code of an error ("ENOENT"), or undefined when the error did not come from the system. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error && "syscall" in error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** A failed write as an `io` error naming `path`; anything that is no system error is returned as it is. */
export function writeError(error: unknown, path: string, advice: WriteAdvice = {}): unknown {
  const code = systemCode(error);
  if (code === undefined) return error;
  const full = code === "ENOSPC" ? "the disk is full" : code === "EDQUOT" ? "your disk quota is used up" : undefined;
  const reason =
    full === undefined
      ? (REASONS[code] ?? messageOf(error))
      : `${full}; free ${missingSpace(path, advice.bytes)} and ${advice.again ?? "run the same command again"}`;
  return new LonghandError("io", `cannot write ${path}: ${reason}`, { cause: error });
}

/** A failed read: what `missing` makes where there is no such file, else an `io` error; other errors as they are. */
export function readError(error: unknown, path: string, missing: () => LonghandError): unknown {
  const code = systemCode(error);
  if (code === undefined) return error;
  if (code === "ENOENT" || code === "ENOTDIR") return missing();
  const reason = code === "EACCES" ? "no permission to read it; change its permissions" : messageOf(error);
  return new LonghandError("io", `cannot read ${path}: ${reason}`, { cause: error });
}

/** Fills `bytes` from a position of a file. Returns how many were read: fewer only where the file ends. */
export async function readFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < bytes.length) {
    const count = Math.min(bytes.length - done, MAX_CALL_BYTES);
    const { bytesRead } = await file.read(bytes, done, count, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const count = Math.min(bytes.length - done, MAX_CALL_BYTES);
    done += (await file.write(bytes, done, count, position + done)).bytesWritten;
  }
}

/** Writes a file (text as UTF-8) and flushes it to the disk; "wx" demands a new file. Throws the system's errors. */
export async function writeFlushed(
  path: string,
  chunks: readonly (Uint8Array | string)[],
  flag: "w" | "wx",
): Promise<void> {
  const file = await open(path, flag);
  try {
    let position = 0;
    for (const chunk of chunks) {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      await writeFully(file, bytes, position);
      position += bytes.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** SHA-256 in hexadecimal. */
export function sha256(...chunks: readonly (Uint8Array | string)[]): string {
  const hash = createHash("sha256");
  for (const chunk of chunks) {
    if (typeof chunk === "string") hash.update(chunk);
    else {
      for (let i = 0; i < chunk.length; i += MAX_CALL_BYTES) hash.update(chunk.subarray(i, i + MAX_CALL_BYTES));
    }
  }
  return hash.digest("hex");
}

function missingSpace(path: string, bytes: number | undefined): string {
  if (bytes === undefined) return "some space";
  let available = 0;
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    available = bavail * bsize;
  } catch {
    // Not every file system tells; then the whole size is the answer.
  }
  return `${Math.max(1, Math.ceil((bytes - available) / 1e6))} MB`;
}
