/** Whole files into memory, of any size (Node's own readFile stops at 2 GiB), with errors that name the file. */
import { type FileHandle, open } from "node:fs/promises";
import { LonghandError, messageOf } from "../base/errors.ts";
import { systemCode } from "./io-error.node.ts";

const MAX_CALL_BYTES = 2 ** 30;

/**
 * The bytes of a file. With `expectedBytes`, a file of another length is refused before memory is taken for it. Throws
 * `checkpoint` when the file is missing, unreadable as a file, or of another length, and `io` when the system refuses
 * (no permission, too many open files).
 */
export async function readWhole(path: string, expectedBytes?: number): Promise<Uint8Array> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const { size } = await file.stat();
    if (expectedBytes !== undefined && size !== expectedBytes) {
      const cause = size < expectedBytes ? "it was cut short" : "it was changed";
      throw new LonghandError("checkpoint", `${path}: ${size} bytes long instead of ${expectedBytes}: ${cause}`);
    }
    const bytes = new Uint8Array(size);
    let done = 0;
    while (done < size) {
      const { bytesRead } = await file.read(bytes, done, Math.min(size - done, MAX_CALL_BYTES), done);
      if (bytesRead === 0) throw new LonghandError("checkpoint", `${path}: it became shorter while being read`);
      done += bytesRead;
    }
    return bytes;
  } catch (error) {
    throw readError(error, path);
  } finally {
    await file?.close();
  }
}

/** The text of a file that must be UTF-8. Throws as `readWhole` does, and `checkpoint` for other bytes. */
export async function readText(path: string): Promise<string> {
  const bytes = await readWhole(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new LonghandError("checkpoint", `${path}: it is not UTF-8 text, so it is damaged`, { cause: error });
  }
}

/** A failed read: `checkpoint` where the file is at fault, `io` where the system is; other errors as they are. */
export function readError(error: unknown, path: string): unknown {
  const code = systemCode(error);
  if (code === undefined) return error;
  const faults: Record<string, string> = {
    ENOENT: "it is missing",
    ENOTDIR: "it is missing",
    EISDIR: "it is a folder, not a file",
    EIO: "the disk reports an error when it is read",
  };
  if (faults[code] !== undefined) return new LonghandError("checkpoint", `${path}: ${faults[code]}`, { cause: error });
  const reason = code === "EACCES" ? "no permission to read it; change its permissions" : messageOf(error);
  return new LonghandError("io", `cannot read ${path}: ${reason}`, { cause: error });
}
