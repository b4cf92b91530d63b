/**
 * A file that only grows, by whole records: after a failed append it is as long as before, so that a full disk leaves
 * no half record in the middle. A kill can leave half a record at the end; readers of such files repair that on open.
 */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { writeError } from "../base/files.node.ts";

export interface AppendFile {
  readonly path: string;
  /** Adds one record. It is safe from a kill of this process on return, from a loss of power after `sync`. */
  append(record: Uint8Array | string): void;
  sync(): void;
  close(): void;
}

/** Opens a file at its end, created when missing; `exclusive` refuses one that exists. All methods throw `io`. */
export function openAppendFile(path: string, options: { exclusive?: boolean } = {}): AppendFile {
  const guarded = <T>(action: () => T): T => {
    try {
      return action();
    } catch (error) {
      throw writeError(error, path);
    }
  };
  const descriptor = guarded(() => openSync(path, options.exclusive ? "ax" : "a"));
  let length = guarded(() => fstatSync(descriptor).size);
  const appendAll = (bytes: Uint8Array): void => {
    let done = 0;
    try {
      while (done < bytes.length) done += writeSync(descriptor, bytes, done);
      length += done;
    } catch (error) {
      if (done > 0) ftruncateSync(descriptor, length);
      throw writeError(error, path, { bytes: bytes.length });
    }
  };
  return {
    path,
    append: (record) => appendAll(typeof record === "string" ? Buffer.from(record) : record),
    sync: () => guarded(() => fsyncSync(descriptor)),
    close: () => guarded(() => closeSync(descriptor)),
  };
}
