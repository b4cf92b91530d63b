/** The files of a run folder as a page has them: in memory here, in the browser's private file system in stored-runs.ts. */

export interface RunFiles {
  /** Paths of all files, "checkpoints/step-00000100/state.json" among them, sorted. */
  list(): Promise<readonly string[]>;
  /** Bytes of all files together. */
  size(): Promise<number>;
  /** The whole file; undefined where there is none. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Writes a file: afterwards it has the new content, or, when it throws, what it had. */
  write(path: string, parts: readonly (Uint8Array | string)[]): Promise<void>;
  /** A file, or a folder with all that it holds; none of that name is no error. */
  remove(path: string): Promise<void>;
}

export function filesInMemory(files: Iterable<readonly [string, Uint8Array]> = []): RunFiles {
  const held = new Map(files);
  return {
    list: async () => [...held.keys()].sort(),
    size: async () => [...held.values()].reduce((sum, { length }) => sum + length, 0),
    read: async (path) => held.get(path)?.slice(), // what is read may be changed in place
    write: async (path, parts) => void held.set(path, joined(parts)),
    async remove(path) {
      for (const name of held.keys()) if (name === path || name.startsWith(`${path}/`)) held.delete(name);
    },
  };
}

export function joined(parts: readonly (Uint8Array | string)[]): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const chunks = parts.map((part) => (typeof part === "string" ? encoder.encode(part) : part));
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
