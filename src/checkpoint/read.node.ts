/** Whole files into memory, of any size (Node's own readFile stops at 2 GiB), with errors that name the file. */
import { type FileHandle, open, stat } from "node:fs/promises";
import { LonghandError } from "../base/errors.ts";
import { readError, readFully, systemCode } from "../base/files.node.ts";
import { utf8Of } from "./checkpoint-files.ts";

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
    if ((await readFully(file, bytes, 0)) < size) {
      throw new LonghandError("checkpoint", `${path}: it became shorter while it was read`);
    }
    return bytes;
  } catch (error) {
    throw checkpointReadError(error, path);
  } finally {
    await file?.close();
  }
}

/** The same of a file that has no more than so many bytes; a larger one is refused before memory is taken for it. */
export async function readAtMost(path: string, most: number): Promise<Uint8Array> {
  const { size } = await stat(path).catch((error) => {
    throw checkpointReadError(error, path);
  });
  if (size <= most) return readWhole(path, size);
  throw new LonghandError("checkpoint", `${path}: ${size} bytes long, and it can have ${most} at most`);
}

/** The text of a file that must be UTF-8. Throws as `readWhole` does, and `checkpoint` for other bytes. */
export async function readText(path: string): Promise<string> {
  return utf8Of(await readWhole(path), path);
}

/** A failed read: `checkpoint` where the file is at fault, `io` where the system is; other errors as they are. */
export function checkpointReadError(error: unknown, path: string): unknown {
  const fault = (problem: string) => new LonghandError("checkpoint", `${path}: ${problem}`, { cause: error });
  const code = systemCode(error);
  if (code === "EISDIR") return fault("it is a folder, not a file");
  if (code === "EIO") return fault("the disk reports an error when it is read");
  return readError(error, path, () => fault("it is missing"));
}
