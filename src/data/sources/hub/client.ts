/**
 * One data set of the hub at one commit: its files, downloaded into the cache or read by ranges where they are. The
 * package @huggingface/hub knows addresses and answers; what it lacks is here: retries, resuming an interrupted
 * download, and comparing digests.
 */
import { datasetInfo, downloadFile, listFiles } from "@huggingface/hub";
import { LonghandError } from "../../../base/errors.ts";
import { type OpenFile, openLocal, type StoredFile } from "../stored-file.ts";
import { HubCache, type HubEntry } from "./cache.ts";
import { type HubAccess, hubFetch, type RetryPolicy, withRetries } from "./http.ts";

export interface DownloadProgress {
  /** File of the data set. */
  readonly path: string;
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface HubOptions {
  readonly access: HubAccess;
  /** Folder of the cache; default: that of HF_HUB_CACHE and HF_HOME. */
  readonly cache?: string | undefined;
  readonly retries?: RetryPolicy | undefined;
  readonly onDownload?: ((progress: DownloadProgress) => void) | undefined;
  /** Read files by ranges where they are instead of downloading them: for a look at a part of them. */
  readonly remote?: boolean | undefined;
  /** Bytes asked for at a time; default 8 MiB. */
  readonly rangeBytes?: number | undefined;
}

const RANGE_BYTES = 8 * 1024 * 1024;
/** The same with `remote`, where little of a file is read. */
const LOOK_BYTES = 1024 * 1024;
const COMMIT = /^[0-9a-f]{40}$/;

export class HubDataset {
  readonly name: string;
  /** What all files are read at: 40 hexadecimal digits. */
  readonly commit: string;
  readonly #options: HubOptions;
  readonly #cache: HubCache;
  /** Downloads that were begun ahead, by path; their progress is reported once they are waited for. */
  readonly #ahead = new Map<string, { readonly file: Promise<string>; readonly progress: { reported: boolean } }>();

  private constructor(name: string, commit: string, cache: HubCache, options: HubOptions) {
    this.name = name;
    this.commit = commit;
    this.#cache = cache;
    this.#options = options;
  }

  /** Finds the commit that a revision (branch, tag or commit) is now. */
  static async open(name: string, revision: string | undefined, options: HubOptions): Promise<HubDataset> {
    const cache = new HubCache(name, options.cache);
    const wanted = revision ?? "main";
    if (COMMIT.test(wanted)) return new HubDataset(name, wanted, cache, options);
    const { access, retries } = options;
    const request = { name, revision: wanted, additionalFields: ["sha" as const], ...requestOptions(access, name) };
    const info = await withRetries(access, () => datasetInfo(request), retries);
    if (!COMMIT.test(String(info.sha))) {
      throw new LonghandError("data", `hub: ${access.endpoint} does not say which commit ${name} ${wanted} is`);
    }
    if (!options.remote) await cache.noteRevision(wanted, info.sha);
    return new HubDataset(name, info.sha, cache, options);
  }

  /** The files in a folder of the data set, or below it; none when there is no such folder. */
  list(folder: string, recursive: boolean): Promise<HubEntry[]> {
    const { access, retries } = this.#options;
    return withRetries(access, () => this.#listOnce(folder, recursive), retries);
  }

  async #listOnce(folder: string, recursive: boolean): Promise<HubEntry[]> {
    const entries: HubEntry[] = [];
    const listing = listFiles({ ...this.#request(), path: encodePath(folder), recursive });
    try {
      for await (const { type, path, size, oid, lfs } of listing) {
        if (type !== "file") continue;
        if (path.split("/").some((part) => part === "" || part === "." || part === "..")) {
          throw new LonghandError("data", `hub: ${this.name} lists a file with the path ${JSON.stringify(path)}`);
        }
        entries.push({ path, bytes: size, digest: lfs?.oid ?? oid ?? "" });
      }
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode === 404) return [];
      throw error;
    }
    return entries;
  }

  /** A file to read from: fetched into the cache when it is opened, or with `remote` read by ranges. */
  stored(entry: HubEntry): StoredFile {
    const path = `${this.name}/${entry.path}`;
    return {
      path,
      bytes: entry.bytes,
      open: async () => (this.#options.remote ? this.#openRemote(entry) : openLocal(await this.#arrived(entry), path)),
      fetchAhead: (signal) => this.#fetchAhead(entry, signal),
    };
  }

  #fetchAhead(entry: HubEntry, signal: AbortSignal): void {
    if (this.#options.remote || this.#ahead.has(entry.path)) return;
    const progress = { reported: false };
    const file = this.download(entry, { signal, report: () => progress.reported });
    this.#ahead.set(entry.path, { file, progress });
    file.catch(() => {}).finally(() => this.#ahead.delete(entry.path));
  }

  /** The file's path in the cache, after the download that was begun ahead, or else one begun now. */
  async #arrived(entry: HubEntry): Promise<string> {
    const ahead = this.#ahead.get(entry.path);
    if (ahead === undefined) return this.download(entry);
    ahead.progress.reported = true;
    return ahead.file.catch(() => this.download(entry));
  }

  /**
   * Downloads a file, or what is missing of it, into the cache and returns its path there. A signal ends it between two
   * ranges; `report` says whether `onDownload` is called.
   */
  async download(
    entry: HubEntry,
    { signal, report = () => true }: { readonly signal?: AbortSignal; readonly report?: () => boolean } = {},
  ): Promise<string> {
    const here = await this.#cache.look(this.commit, entry);
    if (here.complete) return here.path;
    if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(entry.digest)) {
      throw new LonghandError("data", `hub: ${this.name} lists ${entry.path} without a checksum`);
    }
    const { access, retries, rangeBytes = RANGE_BYTES } = this.#options;
    const onDownload = (bytes: number) => {
      if (report()) this.#options.onDownload?.({ path: entry.path, bytes, totalBytes: entry.bytes });
    };
    const blob = await this.#blob(entry);
    for (let position = here.bytes; position < entry.bytes; ) {
      signal?.throwIfAborted();
      onDownload(position);
      const end = Math.min(position + rangeBytes, entry.bytes);
      const bytes = await withRetries(access, () => range(blob, position, end), retries);
      await this.#cache.write(entry, position, bytes);
      position = end;
    }
    onDownload(entry.bytes);
    return this.#cache.finish(this.commit, entry);
  }

  async #openRemote(entry: HubEntry): Promise<OpenFile> {
    const { access, retries } = this.#options;
    const blob = await this.#blob(entry);
    let ahead: Buffer<ArrayBuffer> = Buffer.from(new ArrayBuffer(0));
    let start = 0; // of `ahead` in the file
    return {
      read: async (position, length) => {
        const end = Math.min(position + length, entry.bytes);
        if (position < start || end > start + ahead.length) {
          const until = Math.min(Math.max(end, position + LOOK_BYTES), entry.bytes);
          ahead = await withRetries(access, () => range(blob, position, until), retries);
          start = position;
        }
        return ahead.subarray(position - start, Math.max(position, end) - start);
      },
      close: async () => {},
    };
  }

  async #blob(entry: HubEntry): Promise<Blob> {
    // xet: the plain address serves every file by ranges, and what comes is compared with its digest.
    const request = { ...this.#request(), path: encodePath(entry.path), xet: false };
    const { access, retries } = this.#options;
    const blob = await withRetries(access, () => downloadFile(request), retries);
    if (blob === null || blob.size !== entry.bytes) {
      const now = blob === null ? "is gone" : `has ${blob.size} bytes now`;
      throw new LonghandError(
        "data",
        `hub: ${this.name}/${entry.path} has changed: it was listed with ${entry.bytes} bytes and ${now}; run the same command again`,
      );
    }
    return blob;
  }

  #request() {
    const repo = { type: "dataset" as const, name: this.name };
    return { repo, revision: this.commit, ...requestOptions(this.#options.access, this.name) };
  }
}

function requestOptions(access: HubAccess, name: string) {
  const { endpoint, token } = access;
  return { hubUrl: endpoint, ...(token !== undefined && { accessToken: token }), fetch: hubFetch(access, name) };
}

/** Bytes of a blob; fewer than asked for is an answer that was cut off. */
async function range(blob: Blob, start: number, end: number): Promise<Buffer<ArrayBuffer>> {
  if (end <= start) return Buffer.from(new ArrayBuffer(0));
  const bytes = Buffer.from(await blob.slice(start, end).arrayBuffer());
  if (bytes.length !== end - start) throw new Error(`${bytes.length} bytes came instead of ${end - start}`);
  return bytes;
}

function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
