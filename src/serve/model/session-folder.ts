/** The folder in which the sessions of one model are saved: a file each, written whole or not at all; one server a folder. */
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { readError, readFully, writeError } from "../../base/files.node.ts";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import { acquireRunLock, type RunLock } from "../../checkpoint/run-lock.node.ts";
import type { DecodingArchitecture } from "../../nn/decoding.ts";
import { decodeSession, encodeSession, type SessionContent, type SessionOwner } from "./session-file.ts";

const FILE = /^(sess_[A-Za-z0-9_-]{32})\.safetensors$/;
/** What a file may have beside the state: its header, and lists of tokens. */
const HEADER_BYTES = 1 << 20;

interface Belongs {
  readonly architecture: DecodingArchitecture;
  readonly owner: SessionOwner;
}

export class SessionFolder {
  readonly #folder: string;
  readonly #belongs: Belongs;
  readonly #lock: RunLock;

  private constructor(folder: string, belongs: Belongs, lock: RunLock) {
    this.#folder = folder;
    this.#belongs = belongs;
    this.#lock = lock;
  }

  /** Throws "usage" where another server has the folder, "io" when the system refuses. */
  static async open(folder: string, belongs: Belongs): Promise<SessionFolder> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw writeError(error, folder);
    }
    const lock = await acquireRunLock(folder, "serving").catch((error: unknown) => {
      if (!(error instanceof LonghandError && error.code === "usage")) throw error;
      throw new LonghandError("usage", `\`sessions\`: another server uses ${folder}; choose another folder`, {
        cause: error,
      });
    });
    return new SessionFolder(folder, belongs, lock);
  }

  /** The sessions that are there, the one that was unused for longest first. */
  async list(): Promise<{ readonly id: string; readonly bytes: number; readonly used: number }[]> {
    const found: { id: string; bytes: number; used: number }[] = [];
    for (const name of await readdir(this.#folder)) {
      const [, id] = FILE.exec(name) ?? [];
      if (id === undefined) continue;
      const { size, mtimeMs } = await stat(this.#path(id));
      found.push({ id, bytes: size, used: mtimeMs });
    }
    return found.sort((a, b) => a.used - b.used);
  }

  /** Returns the bytes of the file. */
  async save(id: string, content: SessionContent): Promise<number> {
    const chunks = encodeSession(content, this.#belongs.owner);
    await writeFileAtomic(this.#path(id), chunks, { again: "go on" });
    return chunks.reduce((sum, { length }) => sum + length, 0);
  }

  /** Throws "checkpoint" for a file that cannot be used, such as one whose state would be larger than `mostBytes`. */
  async load(id: string, mostBytes: number): Promise<SessionContent> {
    const path = this.#path(id);
    const missing = () => new LonghandError("checkpoint", `${path}: it is gone`);
    try {
      const file = await open(path, "r");
      try {
        const { size } = await file.stat();
        if (size > mostBytes + HEADER_BYTES)
          throw new LonghandError("checkpoint", `${path}: ${size} bytes are more than sessions may have`);
        const bytes = new Uint8Array(size);
        await readFully(file, bytes, 0);
        return decodeSession(bytes, path, this.#belongs);
      } finally {
        await file.close();
      }
    } catch (error) {
      throw readError(error, path, missing);
    }
  }

  async remove(id: string): Promise<void> {
    await rm(this.#path(id), { force: true });
  }

  close(): void {
    this.#lock.release();
  }

  #path(id: string): string {
    return join(this.#folder, `${id}.safetensors`);
  }
}
