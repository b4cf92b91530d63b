/**
 * Trainings that were started from the studio. Each is a process of its own, which goes on when the studio ends: it
 * writes to a file, not to a pipe, and is noted in `.studio` in the runs folder, where a later studio finds it.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { mkdir, open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { messageOf } from "../../base/errors.ts";
import { readFully } from "../../base/files.node.ts";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import { isRunning, processIdentity } from "../../checkpoint/processes.node.ts";
import { RequestError } from "../../service/failure.ts";
import type { CommandLine, OutputPage, Training } from "../api.ts";

/** In the runs folder. */
export const TRAININGS_FOLDER = ".studio";
/** How many that have ended are shown. */
const SHOWN = 50;

const noteSchema = z.object({
  id: z.string().regex(/^[0-9a-f-]+$/),
  run: z.string(),
  command: z.string(),
  pid: z.number().int().positive(),
  identity: z.string().optional(),
  started: z.number(),
  exitCode: z.number().nullable().optional(),
});

type Note = z.infer<typeof noteSchema>;

const OUTPUT_BYTES = 256 << 10;
const TAIL_BYTES = 64 << 10;

export class Trainings {
  readonly #folder: string;
  readonly #program: readonly string[];
  readonly #asked = new Map<string, number>();
  /** Those that this studio has started and that have not ended: how they end is still to be told. */
  readonly #children = new Set<string>();
  #notes: Map<string, Note> | undefined;

  /** `program`: the words that start Longhand's command line. */
  constructor(runs: string, program: readonly string[]) {
    this.#folder = join(runs, TRAININGS_FOLDER);
    this.#program = program;
  }

  /** The newest first. */
  async list(): Promise<readonly Training[]> {
    const notes = [...(await this.#read()).values()].sort((a, b) => b.started - a.started);
    return Promise.all(notes.slice(0, SHOWN).map((note) => this.#shown(note)));
  }

  /** Throws 409 where a training from here still works on the same run. */
  async start({ words, line, run }: CommandLine): Promise<Training> {
    const notes = await this.#read();
    const busy = [...notes.values()].find((note) => note.run === run && runs(note));
    if (busy)
      throw new RequestError(409, `${JSON.stringify(run)}: process ${busy.pid} is training there; stop it first`);
    await mkdir(this.#folder, { recursive: true });
    const started = Date.now();
    const id = `${started.toString(16)}-${randomBytes(4).toString("hex")}`;
    const output = openSync(this.#output(id), "ax");
    const [file, ...before] = this.#program;
    const child = spawn(file, [...before, ...words.slice(1)], {
      stdio: ["ignore", output, output],
      detached: true, // a Ctrl-C for the studio is none for it
    });
    closeSync(output);
    const pid = await new Promise<number>((resolve, reject) => {
      child.once("spawn", () => resolve(child.pid as number));
      child.once("error", (error) => reject(new RequestError(500, `the training cannot start: ${messageOf(error)}`)));
    });
    const identity = processIdentity(pid);
    const note: Note = { id, run, command: line, pid, started, ...(identity !== undefined && { identity }) };
    notes.set(id, note);
    this.#children.add(id);
    child.on("exit", (code) => {
      this.#children.delete(id);
      const ended = { ...note, exitCode: code };
      notes.set(id, ended);
      void this.#write(ended).catch(() => {}); // the folder is gone, and the note with it
    });
    child.unref();
    await this.#write(note);
    return this.#shown(note);
  }

  /**
   * Asks the process to stop as Ctrl-C does; a second time ends it at once. `worker` is the process that holds the
   * run, where one does. Returns how often it was asked. Throws 409 where none runs.
   */
  async stop(run: string, worker: { readonly pid: number; readonly here: boolean } | undefined): Promise<number> {
    const own = [...(await this.#read()).values()].find((note) => note.run === run && runs(note));
    const pid = worker?.here ? worker.pid : own?.pid;
    if (pid === undefined) {
      const where = worker ? "its training runs on another machine; stop it there" : "no training runs there";
      throw new RequestError(409, `${JSON.stringify(run)}: ${where}`);
    }
    try {
      process.kill(pid, "SIGINT");
    } catch (error) {
      throw new RequestError(409, `${JSON.stringify(run)}: process ${pid} cannot be stopped: ${messageOf(error)}`);
    }
    const training = own?.id ?? String(pid); // its process may have another below it, which holds the run
    const asked = (this.#asked.get(training) ?? 0) + 1;
    this.#asked.set(training, asked);
    return asked;
  }

  /** What a training wrote, from a byte on or, where that is negative, from so many before the end. Throws 404. */
  async output(id: string, from = -TAIL_BYTES): Promise<OutputPage> {
    if (!(await this.#read()).has(id))
      throw new RequestError(404, `${JSON.stringify(id.slice(0, 100))}: no such training`);
    const file = await open(this.#output(id), "r");
    try {
      const { size } = await file.stat();
      const begin = Math.min(size, from < 0 ? Math.max(0, size + from) : from);
      const bytes = new Uint8Array(Math.min(size - begin, OUTPUT_BYTES));
      const read = bytes.subarray(0, await readFully(file, bytes, begin));
      const [skipped, end] = wholeCharacters(read, from < 0 && begin > 0);
      const text = new TextDecoder().decode(read.subarray(skipped, end));
      return { from: begin + skipped, next: begin + end, text };
    } finally {
      await file.close();
    }
  }

  #output(id: string): string {
    return join(this.#folder, `${id}.log`);
  }

  async #shown(note: Note): Promise<Training> {
    const { identity: _, exitCode, ...shown } = note;
    const running = this.#children.has(note.id) || runs(note);
    const outputBytes = (await stat(this.#output(note.id)).catch(() => undefined))?.size ?? 0;
    return { ...shown, running, ...(!running && { exitCode: exitCode ?? null }), outputBytes };
  }

  async #write(note: Note): Promise<void> {
    await writeFileAtomic(join(this.#folder, `${note.id}.json`), [`${JSON.stringify(note)}\n`]);
  }

  /** Read once; afterwards only this studio adds to them. */
  async #read(): Promise<Map<string, Note>> {
    if (this.#notes) return this.#notes;
    const names = (await readdir(this.#folder).catch(() => [])).filter((name) => name.endsWith(".json"));
    const notes = await Promise.all(names.map((name) => readNote(join(this.#folder, name))));
    this.#notes ??= new Map(notes.flatMap((note) => (note ? [[note.id, note]] : [])));
    return this.#notes;
  }
}

async function readNote(path: string): Promise<Note | undefined> {
  try {
    return noteSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return undefined; // written by another version
  }
}

/** Whether it is still the process that was started, and no later one of the same number. */
function runs({ pid, identity, exitCode }: Note): boolean {
  if (exitCode !== undefined || !isRunning(pid)) return false;
  return identity === undefined || processIdentity(pid) === identity;
}

/** Where whole UTF-8 characters begin (where the bytes may begin inside one) and end. */
function wholeCharacters(bytes: Uint8Array, inside: boolean): [number, number] {
  const continues = (at: number) => (bytes[at] & 0xc0) === 0x80;
  let begin = 0;
  if (inside) while (begin < bytes.length && continues(begin)) begin++;
  let lead = bytes.length - 1;
  while (lead > begin && continues(lead)) lead--;
  const needed = bytes[lead] >= 0xf0 ? 4 : bytes[lead] >= 0xe0 ? 3 : bytes[lead] >= 0xc0 ? 2 : 1;
  return [begin, lead >= begin && lead + needed > bytes.length ? lead : bytes.length];
}
