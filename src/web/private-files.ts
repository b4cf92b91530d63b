/**
 * The browser's private file system (the File System standard's origin private file system): folders of this site that no
 * other sees. Changes are made by one tab at a time.
 */
import { LonghandError } from "../base/errors.ts";

/** Everything of Longhand lies in this folder. */
const ROOT = "longhand";

/** Whether the browser gives this page one that can be written to. */
export function hasPrivateFiles(): boolean {
  if (navigator.storage?.getDirectory === undefined || !("locks" in navigator)) return false;
  return "createWritable" in FileSystemFileHandle.prototype;
}

/** A folder, made where it is not there. Throws "io" where the browser has none for this page. */
export async function privateFolder(...names: readonly string[]): Promise<FileSystemDirectoryHandle> {
  if (!hasPrivateFiles())
    throw new LonghandError("io", "this browser gives this page no private file system; it needs https or localhost");
  let folder = await navigator.storage.getDirectory();
  for (const name of [ROOT, ...names]) folder = await folder.getDirectoryHandle(name, { create: true });
  return folder;
}

/** The bytes of a file, or undefined where there is none. */
export async function readPrivate(folder: FileSystemDirectoryHandle, name: string): Promise<File | undefined> {
  try {
    return await (await folder.getFileHandle(name)).getFile();
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Writes a file as a whole: it has the new content, or, when anything fails, what it had. Throws "io" when there is no room. */
export async function writePrivate(
  folder: FileSystemDirectoryHandle,
  name: string,
  parts: readonly (Uint8Array | string)[],
): Promise<void> {
  try {
    const stream = await (await folder.getFileHandle(name, { create: true })).createWritable();
    try {
      for (const part of parts) await stream.write(part as Uint8Array<ArrayBuffer> | string);
      await stream.close();
    } catch (error) {
      await stream.abort().catch(() => {});
      throw error;
    }
  } catch (error) {
    throw await writeErrorOf(error, name);
  }
}

export async function removePrivate(folder: FileSystemDirectoryHandle, name: string): Promise<void> {
  try {
    await folder.removeEntry(name, { recursive: true });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** Runs alone among the tabs of this site. */
export function alone<T>(what: string, work: () => Promise<T>): Promise<T> {
  return navigator.locks.request(`longhand ${what}`, work) as Promise<T>;
}

async function writeErrorOf(error: unknown, name: string): Promise<unknown> {
  if (!(error instanceof DOMException)) return error;
  if (error.name !== "QuotaExceededError")
    return new LonghandError("io", `${name}: it could not be written to the private file system (${error.message})`);
  const { usage = 0, quota = 0 } = await navigator.storage.estimate();
  const [used, all] = [usage, quota].map((bytes) => `${(bytes / 1e6).toFixed(1)} MB`);
  const problem = `the browser's private file system is full: ${used} of ${all} are used`;
  return new LonghandError("io", `${name}: ${problem}; remove what is kept there, or free space on the disk`, {
    cause: error,
  });
}

function isNotFound(error: unknown): boolean {
  return error instanceof DOMException && (error.name === "NotFoundError" || error.name === "TypeMismatchError");
}
