/**
 * Models kept in the browser's private file system: copies of what was loaded from a URL, which make room for each other, and
 * models that were given a name, which stay. A model is there whole or not at all: its entry is written last.
 */
import { decodeCheckedJson, encodeCheckedJson, isCount, type JsonKind } from "../base/checked-json.ts";
import { LonghandError } from "../base/errors.ts";
import { sha256Hex } from "../base/sha256.ts";
import { alone, privateFolder, readPrivate, removePrivate, writePrivate } from "./private-files.ts";

export interface StoredModel {
  /** As it was named; of a copy, its URL. */
  readonly name: string;
  /** Whether it is a copy of what a URL has, which may be removed to make room. */
  readonly copy: boolean;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
}

export interface KeepOptions {
  readonly name: string;
  readonly copy: boolean;
  /** Bytes of all copies together, at most. */
  readonly limit: number;
}

/** Bytes of all copies together. */
export const COPIES_LIMIT = 2e9;

const FOLDER = "models";
const ENTRY = "entry.json";
/** Entries of another version are removed: what they are copies of can be loaded again. */
const KIND: JsonKind = {
  format: "longhand-stored-model",
  what: "the entry of a stored model",
  version: 1,
  checksum: { field: "sha256", digest: sha256Hex },
};

const keyOf = (name: string) => sha256Hex(name).slice(0, 32);
const exclusively = <T>(work: () => Promise<T>) => alone(FOLDER, work);

/** The models that are kept, the last used first. */
export async function storedModels(): Promise<StoredModel[]> {
  return exclusively(async () => (await sweep()).map(({ key, ...model }) => model));
}

/** Removes one; none of that name is no error. */
export async function removeStoredModel(name: string): Promise<void> {
  await exclusively(async () => removePrivate(await privateFolder(FOLDER), keyOf(name)));
}

/** A file of a stored model, or undefined where there is no such model. */
export interface StoredFiles {
  file(name: string): Promise<File | undefined>;
}

export async function openStoredModel(name: string): Promise<StoredFiles | undefined> {
  return exclusively(async () => {
    const folder = await privateFolder(FOLDER);
    const key = keyOf(name);
    const known = (await sweep()).find((model) => model.key === key);
    if (known === undefined) return undefined;
    const own = await folder.getDirectoryHandle(key);
    await writePrivate(own, ENTRY, [entryOf({ ...known, usedAt: Date.now() })]).catch(() => {}); // full: it is read anyway
    return { file: (file) => readPrivate(own, file) };
  });
}

/**
 * Keeps the files of a model, by name. Copies make room, the longest unused first; models with a name are not removed. Throws
 * "io" where there is no room, and then nothing of it is left.
 */
export async function keepModel(
  files: Readonly<Record<string, Uint8Array>>,
  { name, copy, limit }: KeepOptions,
): Promise<void> {
  await exclusively(async () => {
    const bytes = Object.values(files).reduce((sum, { length }) => sum + length, 0);
    if (copy && bytes > limit)
      throw new LonghandError(
        "io",
        `${name}: ${megabytes(bytes)} are more than all copies may take (${megabytes(limit)})`,
      );
    const folder = await privateFolder(FOLDER);
    const key = keyOf(name);
    await removePrivate(folder, key);
    await makeRoom(folder, { bytes, limit: copy ? limit : Number.POSITIVE_INFINITY });
    const own = await folder.getDirectoryHandle(key, { create: true });
    try {
      for (const [file, content] of Object.entries(files)) await writePrivate(own, file, [content]);
      await writePrivate(own, ENTRY, [entryOf({ name, copy, bytes, usedAt: Date.now() })]);
    } catch (error) {
      await removePrivate(folder, key);
      throw error;
    }
  });
}

/** Removes copies until so many bytes fit, below the limit of copies and what the browser grants. */
async function makeRoom(
  folder: FileSystemDirectoryHandle,
  { bytes, limit }: { readonly bytes: number; readonly limit: number },
): Promise<void> {
  const copies = (await sweep()).filter(({ copy }) => copy);
  let held = copies.reduce((sum, copy) => sum + copy.bytes, 0);
  const { usage = 0, quota = Number.POSITIVE_INFINITY } = await navigator.storage.estimate();
  let free = quota - usage;
  while (copies.length > 0 && (held + bytes > limit || bytes > free)) {
    const oldest = copies.pop() as Kept;
    await removePrivate(folder, oldest.key);
    held -= oldest.bytes;
    free += oldest.bytes;
  }
}

interface Kept extends StoredModel {
  readonly key: string;
}

/** All that are whole; what is not is removed. */
async function sweep(): Promise<Kept[]> {
  const folder = await privateFolder(FOLDER);
  const found: Kept[] = [];
  const keys: string[] = [];
  for await (const key of folder.keys()) keys.push(key);
  for (const key of keys) {
    const entry = await readEntry(folder, key);
    if (entry === undefined) await removePrivate(folder, key);
    else found.push({ ...entry, key });
  }
  return found.sort((a, b) => b.usedAt - a.usedAt);
}

async function readEntry(folder: FileSystemDirectoryHandle, key: string): Promise<StoredModel | undefined> {
  try {
    const file = await readPrivate(await folder.getDirectoryHandle(key), ENTRY);
    if (file === undefined) return undefined;
    const refuse = (problem: string): never => {
      throw new LonghandError("config", `${ENTRY}: ${problem}`);
    };
    const { name, copy, bytes, usedAt } = decodeCheckedJson(await file.text(), KIND, refuse);
    if (typeof name !== "string" || typeof copy !== "boolean" || !isCount(bytes) || !isCount(usedAt)) return undefined;
    return { name, copy, bytes, usedAt };
  } catch {
    return undefined;
  }
}

function entryOf({ name, copy, bytes, usedAt }: StoredModel): string {
  return encodeCheckedJson(KIND, { name, copy, bytes, usedAt });
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
