/**
 * A file that text is read from: on this disk (here) or on the hub (hub/client.ts). Once open, it is read by position;
 * `byteStream` reads it from beginning to end, one buffer at a time.
 */
import { open, stat } from "node:fs/promises";
import { LonghandError } from "../../base/errors.ts";
import { readError, readFully } from "../../base/files.node.ts";

export interface StoredFile {
  /** For messages. */
  readonly path: string;
  /** Size in bytes, as found when the source was opened. */
  readonly bytes: number;
  open(): Promise<OpenFile>;
  /** Begins to download the file before it is opened; a failure is reported when it is opened. */
  fetchAhead?(signal: AbortSignal): void;
}

export interface OpenFile {
  /** Up to `length` bytes from `position`, in a buffer of its own; fewer only where the file ends. */
  read(position: number, length: number): Promise<Buffer<ArrayBuffer>>;
  close(): Promise<void>;
}

const READ_BYTES = 65_536;

/** A file on this disk; throws "data" when there is none. */
export async function localFile(path: string): Promise<StoredFile> {
  const info = await stat(path).catch((error) => {
    throw fileError(path, error);
  });
  if (!info.isFile()) throw new LonghandError("data", `data: ${path} is neither a file nor a folder`);
  return { path, bytes: info.size, open: () => openLocal(path) };
}

/** Opens a file on this disk; `name` stands for it in messages. */
export async function openLocal(path: string, name = path): Promise<OpenFile> {
  const file = await open(path, "r").catch((error) => {
    throw fileError(name, error);
  });
  return {
    async read(position, length) {
      const buffer = Buffer.from(new ArrayBuffer(length));
      const filled = await readFully(file, buffer, position).catch((error) => {
        throw fileError(name, error);
      });
      return buffer.subarray(0, filled);
    },
    close: () => file.close(),
  };
}

/** The file from its beginning to its end; `onRead` gets the share read. Every buffer may be kept. */
export async function* byteStream(
  file: OpenFile,
  bytes: number,
  onRead: (share: number) => void = () => {},
): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const buffer = await file.read(position, READ_BYTES);
    position += buffer.length;
    onRead(Math.min(1, position / Math.max(1, bytes)));
    if (buffer.length > 0) yield buffer;
    if (buffer.length < READ_BYTES) return;
  }
}

/** What the file system refused, as one sentence. */
export function fileError(path: string, error: unknown): unknown {
  const advice = "give a UTF-8 text file or a folder of them";
  return readError(error, path, () => new LonghandError("data", `data: ${path} does not exist; ${advice}`));
}
