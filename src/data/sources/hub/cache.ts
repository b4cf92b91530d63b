/**
 * The cache of the hub's own tools, in their layout, so that a file fetched by one of them is there for the others:
 * `datasets--OWNER--NAME/blobs/DIGEST` holds contents, `snapshots/COMMIT/PATH` links to them. HF_HUB_CACHE names the
 * folder, or HF_HOME the one that it is in.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, open, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { getHFHubCachePath, getRepoFolderName } from "@huggingface/hub";
import { LonghandError, messageOf } from "../../../base/errors.ts";
import { systemCode, writeFully } from "../../../base/files.node.ts";

/** A file of a data set as its listing says. */
export interface HubEntry {
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the contents, or git's SHA-1 of a small file; 64 or 40 hexadecimal digits. */
  readonly digest: string;
}

interface CachedFile {
  /** Where the file is, or will be once it is complete. */
  readonly path: string;
  /** Bytes that are here already: all of them when `complete`. */
  readonly bytes: number;
  readonly complete: boolean;
}

export class HubCache {
  readonly #repo: string;

  /** The cache of one data set; `root` overrides HF_HUB_CACHE and HF_HOME. */
  constructor(name: string, root: string = getHFHubCachePath()) {
    this.#repo = join(root, getRepoFolderName({ type: "dataset", name }));
  }

  /** What is here of a file. */
  async look(commit: string, entry: HubEntry): Promise<CachedFile> {
    const path = this.#pointer(commit, entry);
    if ((await sizeOf(path)) === entry.bytes) return { path, bytes: entry.bytes, complete: true };
    const blob = this.#blob(entry);
    if ((await sizeOf(blob)) === entry.bytes) {
      await this.#writing(entry, () => this.#link(blob, path));
      return { path, bytes: entry.bytes, complete: true };
    }
    const begun = (await sizeOf(`${blob}.incomplete`)) ?? 0;
    return { path, bytes: begun <= entry.bytes ? begun : 0, complete: false };
  }

  /** Writes bytes of an incomplete file at their place. */
  async write(entry: HubEntry, position: number, bytes: Uint8Array): Promise<void> {
    const path = `${this.#blob(entry)}.incomplete`;
    await this.#writing(entry, async () => {
      await mkdir(dirname(path), { recursive: true });
      const file = await open(path, position === 0 ? "w" : "r+");
      try {
        await writeFully(file, bytes, position);
      } finally {
        await file.close();
      }
    });
  }

  /** Compares the digest of a file that has all its bytes and puts it in its place; a wrong one is removed: "data". */
  async finish(commit: string, entry: HubEntry): Promise<string> {
    const blob = this.#blob(entry);
    const path = this.#pointer(commit, entry);
    await this.#writing(entry, async () => {
      if ((await digestOf(`${blob}.incomplete`, entry)) !== entry.digest) {
        await rm(`${blob}.incomplete`);
        throw new LonghandError(
          "data",
          `hub: the download of ${entry.path} does not match the checksum in its listing and was removed; run the same command again`,
        );
      }
      await rename(`${blob}.incomplete`, blob);
      await this.#link(blob, path);
    });
    return path;
  }

  /** Notes which commit a branch was at. */
  async noteRevision(revision: string, commit: string): Promise<void> {
    const path = join(this.#repo, "refs", revision);
    await this.#writing({ path: revision }, async () => {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, commit);
    });
  }

  #blob({ digest }: HubEntry): string {
    return join(this.#repo, "blobs", digest);
  }

  #pointer(commit: string, { path }: HubEntry): string {
    return join(this.#repo, "snapshots", commit, ...path.split("/"));
  }

  /** A link where the system has them, else a copy. */
  async #link(blob: string, path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    await rm(path, { force: true });
    await symlink(relative(dirname(path), blob), path).catch(() => copyFile(blob, path));
  }

  async #writing<T>({ path }: { readonly path: string }, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof LonghandError) throw error;
      const problem = systemCode(error) === "ENOSPC" ? "the disk is full" : messageOf(error);
      throw new LonghandError(
        "io",
        `hub: cannot keep ${path} in ${this.#repo}: ${problem}; make room or set HF_HUB_CACHE to another folder, and run the same command again`,
        { cause: error },
      );
    }
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  const info = await stat(path).catch(() => undefined);
  return info?.isFile() ? info.size : undefined;
}

/** SHA-256 of the contents, or SHA-1 of git's blob object, as the entry's digest is. */
async function digestOf(path: string, { digest, bytes }: HubEntry): Promise<string> {
  const hash = digest.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${bytes}\0`);
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}
