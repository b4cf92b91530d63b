/**
 * Runs in the browser's private file system, a folder each, with the files that Node's have; in memory where the browser
 * gives this page none. A run counts once its `config.json` is there.
 */

import { LonghandError } from "../base/errors.ts";
import { CONFIG_FILE } from "../checkpoint/config-file.ts";
import { privateFolder, readPrivate, removePrivate, writePrivate } from "./private-files.ts";
import { filesInMemory, type RunFiles } from "./run-files.ts";
import { checkpointSteps, readRunConfig } from "./web-run.ts";

export interface StoredRun {
  readonly name: string;
  /** Of the newest checkpoint. */
  readonly step: number;
  /** At which its training ends. */
  readonly steps: number;
  /** What it learns: the name of its text. */
  readonly text: string;
  readonly bytes: number;
  /** Whether another tab is training it. */
  readonly busy: boolean;
}

export interface StoredRuns {
  /** Whether runs stay when the page is closed. */
  readonly lasting: boolean;
  list(): Promise<StoredRun[]>;
  /** The files of a run, made where there is none of this name. */
  open(name: string): Promise<RunFiles>;
  /** A name like this one that no run has. */
  freeName(like: string): Promise<string>;
  remove(name: string): Promise<void>;
}

const FOLDER = "runs";

/** Works on a run as the only one among the tabs of this site. Throws "usage" when another tab does. */
export async function holdingRun<T>(name: string, work: () => Promise<T>): Promise<T> {
  if (!("locks" in navigator)) return work();
  return navigator.locks.request(lockOf(name), { ifAvailable: true }, (lock) => {
    if (lock === null) throw new LonghandError("usage", `${name}: another tab is training it; stop it there first`);
    return work();
  }) as Promise<T>;
}

const lockOf = (name: string) => `longhand run ${name}`;

export async function openStoredRuns(): Promise<StoredRuns> {
  try {
    await privateFolder(FOLDER);
    return new PrivateRuns();
  } catch {
    return new RunsInMemory(); // there is none, or the browser refuses it, as in a private window
  }
}

abstract class Runs implements StoredRuns {
  abstract readonly lasting: boolean;
  abstract names(): Promise<string[]>;
  abstract open(name: string): Promise<RunFiles>;
  abstract remove(name: string): Promise<void>;

  async list(): Promise<StoredRun[]> {
    const held = "locks" in navigator ? ((await navigator.locks.query()).held ?? []) : [];
    const found: StoredRun[] = [];
    for (const name of (await this.names()).sort()) {
      const busy = held.some((lock) => lock.name === lockOf(name));
      const files = await this.open(name);
      const run = await described(name, files).catch(() => undefined);
      if (run !== undefined) found.push({ ...run, busy });
      else if (!busy && (await files.read(CONFIG_FILE)) === undefined) await this.remove(name); // it never began
    }
    return found;
  }

  async freeName(like: string): Promise<string> {
    const plain =
      like
        .replace(/[^\p{L}\p{N}_ -]+/gu, "-")
        .replace(/^[-. ]+|[-. ]+$/g, "")
        .slice(0, 60) || "text";
    const taken = new Set(await this.names());
    let name = plain;
    for (let i = 2; taken.has(name); i++) name = `${plain}-${i}`;
    return name;
  }
}

async function described(name: string, files: RunFiles): Promise<Omit<StoredRun, "busy">> {
  const { training, data } = await readRunConfig(files);
  const step = (await checkpointSteps(files)).at(-1) ?? 0;
  const text = [data.path ?? "several texts"].flat()[0].split(/[/\\]/).at(-1) as string;
  return { name, step, steps: training.steps, text, bytes: await files.size() };
}

class PrivateRuns extends Runs {
  readonly lasting = true;

  async names(): Promise<string[]> {
    const names: string[] = [];
    for await (const name of (await privateFolder(FOLDER)).keys()) names.push(name);
    return names;
  }

  open(name: string): Promise<RunFiles> {
    return privateRunFiles(name);
  }

  async remove(name: string): Promise<void> {
    await removePrivate(await privateFolder(FOLDER), name);
  }
}

class RunsInMemory extends Runs {
  readonly lasting = false;
  readonly #runs = new Map<string, RunFiles>();

  async names(): Promise<string[]> {
    return [...this.#runs.keys()];
  }

  async open(name: string): Promise<RunFiles> {
    const files = this.#runs.get(name) ?? filesInMemory();
    this.#runs.set(name, files);
    return files;
  }

  async remove(name: string): Promise<void> {
    this.#runs.delete(name);
  }
}

async function privateRunFiles(name: string): Promise<RunFiles> {
  const root = await privateFolder(FOLDER, name);
  const folderOf = async (path: string, create: boolean) => {
    let folder: FileSystemDirectoryHandle | undefined = root;
    for (const part of path.split("/").slice(0, -1)) {
      folder = await folder?.getDirectoryHandle(part, { create }).catch((error: DOMException) => {
        if (error.name === "NotFoundError") return undefined;
        throw error;
      });
    }
    return folder;
  };
  const nameOf = (path: string) => path.split("/").at(-1) as string;
  return {
    async list() {
      const paths: string[] = [];
      for await (const [path] of filesBelow(root)) paths.push(path);
      return paths.sort();
    },
    async size() {
      let bytes = 0;
      for await (const [, handle] of filesBelow(root)) bytes += (await handle.getFile()).size;
      return bytes;
    },
    async read(path) {
      const folder = await folderOf(path, false);
      const file = folder && (await readPrivate(folder, nameOf(path)));
      return file && new Uint8Array(await file.arrayBuffer());
    },
    async write(path, parts) {
      const folder = await folderOf(path, true);
      if (folder !== undefined) await writePrivate(folder, nameOf(path), parts);
    },
    async remove(path) {
      const folder = await folderOf(path, false);
      if (folder !== undefined) await removePrivate(folder, nameOf(path));
    },
  };
}

async function* filesBelow(
  folder: FileSystemDirectoryHandle,
  before = "",
): AsyncGenerator<[string, FileSystemFileHandle]> {
  for await (const [name, handle] of folder.entries()) {
    if (handle.kind === "directory") yield* filesBelow(handle as FileSystemDirectoryHandle, `${before}${name}/`);
    else yield [before + name, handle as FileSystemFileHandle];
  }
}
