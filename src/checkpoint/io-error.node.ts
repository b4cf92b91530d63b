/** What the file system refused, as one sentence that names the path, says what is the matter and what to do about it. */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { LonghandError, messageOf } from "../base/errors.ts";

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
