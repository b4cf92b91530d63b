/**
 * Reading metrics.jsonl while a training writes it: whole lines from any byte on, and the newest of what is asked
 * for.
 */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { readFully, systemCode } from "../../base/files.node.ts";
import type { MetricsRecord } from "../api.ts";

export const METRICS_FILE = "metrics.jsonl";

const NEWLINE = 0x0a;

export interface FileState {
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly changed: number;
  /** Another after the file was written anew. */
  readonly generation: string;
}

export interface Lines {
  readonly records: readonly MetricsRecord[];
  /** The byte after the last whole line. */
  readonly next: number;
}

/** metrics.jsonl of a run folder, for one reading. */
export class MetricsFile {
  readonly #file: FileHandle;
  readonly state: FileState;

  private constructor(file: FileHandle, state: FileState) {
    this.#file = file;
    this.state = state;
  }

  /** Opens the file for `use`; undefined where there is none. */
  static async read<T>(run: string, use: (file: MetricsFile) => Promise<T>): Promise<T | undefined> {
    let file: FileHandle;
    try {
      file = await open(join(run, METRICS_FILE), "r");
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
    try {
      const { size: bytes, mtimeMs: changed, ino, birthtimeMs } = await file.stat();
      return await use(new MetricsFile(file, { bytes, changed, generation: `${ino}-${Math.floor(birthtimeMs)}` }));
    } finally {
      await file.close();
    }
  }

  /** The whole lines that begin at a byte, about `most` bytes of them. Damaged lines are left out. */
  async lines(from: number, most: number): Promise<Lines> {
    const bytes = new Uint8Array(Math.max(0, Math.min(most, this.state.bytes - from)));
    const read = await readFully(this.#file, bytes, from);
    const end = bytes.lastIndexOf(NEWLINE, read - 1) + 1;
    if (end === 0 && read === most) return this.lines(from, 2 * most); // a line that is longer
    return { records: parse(bytes.subarray(0, end)), next: from + end };
  }

  /** The whole lines of the last `most` bytes. */
  async tail(most: number): Promise<readonly MetricsRecord[]> {
    const from = Math.max(0, this.state.bytes - most);
    const bytes = new Uint8Array(this.state.bytes - from);
    const read = await readFully(this.#file, bytes, from);
    const begin = from === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
    return parse(bytes.subarray(begin, Math.max(begin, bytes.lastIndexOf(NEWLINE, read - 1) + 1)));
  }
}

function parse(bytes: Uint8Array): MetricsRecord[] {
  const records: MetricsRecord[] = [];
  for (const line of new TextDecoder().decode(bytes).split("\n")) {
    const record = line === "" ? undefined : parseLine(line);
    if (record !== undefined) records.push(record);
  }
  return records;
}

function parseLine(line: string): MetricsRecord | undefined {
  try {
    const record = JSON.parse(line);
    return typeof record?.type === "string" && Number.isSafeInteger(record.step) ? record : undefined;
  } catch {
    return undefined; // half written when its process was killed
  }
}
