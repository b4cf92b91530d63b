/**
 * Where a page finds an export: at a URL, among files that a person picked, or in the private file system. Bytes are taken as
 * they come, no more than `config.json` says there are, and checked by use/export-files.ts before anything is made of them.
 */
import { LonghandError, messageOf } from "../base/errors.ts";
import { sha256Hex } from "../base/sha256.ts";
import { CONFIG_FILE, type ExportSource, TOKENIZER_FILE, WEIGHTS_FILE } from "../use/export-files.ts";
import type { StoredFiles } from "./storage.ts";
import { webTokenizer } from "./tokenizer.ts";

export interface Reading {
  /** Told of bytes as they come. */
  onBytes(bytes: number): void;
}

/** A configuration is a few kilobytes; nothing else is read without a length that was said before. */
const MOST_CONFIG_BYTES = 2 ** 20;

/** The folder at a URL. Throws "io" for what the network refuses. */
export function urlSource(url: string, { onBytes }: Reading): ExportSource {
  const base = url.endsWith("/") ? url : `${url}/`;
  const fileOf = (name: string) => new URL(name, base).href;
  return source(url, fileOf, async (name, length) => {
    const file = fileOf(name);
    const response = await fetch(file).catch((error) => {
      throw new LonghandError("io", `${file}: it cannot be fetched (${messageOf(error)})`, { cause: error });
    });
    if (!response.ok || response.body === null) {
      const problem = `the server answers ${response.status} ${response.statusText}`.trim();
      throw new LonghandError("checkpoint", `${file}: ${problem}; expected the folder that longhand export writes`);
    }
    return readAll(response.body, { file, length, onBytes });
  });
}

/** Files of one folder, or of several: then those beside the `config.json` that lies highest. */
export function filesSource(files: readonly File[], { onBytes }: Reading): ExportSource {
  const pathOf = (file: File) => file.webkitRelativePath || file.name;
  const depth = (file: File) => pathOf(file).split("/").length;
  const [config] = files.filter(({ name }) => name === CONFIG_FILE).sort((a, b) => depth(a) - depth(b));
  if (config === undefined) {
    const given = files.length === 0 ? "none" : files.map(pathOf).slice(0, 5).join(", ");
    const wanted = `${CONFIG_FILE}, ${TOKENIZER_FILE} and ${WEIGHTS_FILE} of a folder that longhand export writes`;
    throw new LonghandError("usage", `files: expected ${wanted}, got ${given}`);
  }
  const folder = pathOf(config).slice(0, -CONFIG_FILE.length);
  const find = (name: string) => Promise.resolve(files.find((file) => pathOf(file) === `${folder}${name}`));
  return blobSource(folder === "" ? "the files" : folder.slice(0, -1), (name) => `${folder}${name}`, find, onBytes);
}

export function storedSource(name: string, stored: StoredFiles, { onBytes }: Reading): ExportSource {
  return blobSource(name, (file) => `${name}: ${file}`, stored.file, onBytes);
}

function blobSource(
  path: string,
  fileOf: (name: string) => string,
  find: (name: string) => Promise<File | undefined>,
  onBytes: Reading["onBytes"],
): ExportSource {
  return source(path, fileOf, async (name, length) => {
    const file = fileOf(name);
    const found = await find(name);
    if (found === undefined) throw new LonghandError("checkpoint", `${file}: it is missing`);
    if (length !== undefined && found.size !== length) throw wrongLength(file, found.size, length);
    return readAll(found.stream(), { file, length, onBytes });
  });
}

function source(path: string, fileOf: ExportSource["fileOf"], read: ExportSource["read"]): ExportSource {
  return { path, fileOf, read, sha256: sha256Here, tokenizer: webTokenizer };
}

/** By the browser, some twenty times as fast, where it is given to the page: over https and from localhost. */
async function sha256Here(bytes: Uint8Array): Promise<string> {
  if (!isSecureContext) return sha256Hex(bytes);
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

interface ReadOptions extends Reading {
  readonly file: string;
  readonly length: number | undefined;
}

/** Stops at the first byte that is too many. */
async function readAll(
  stream: ReadableStream<Uint8Array>,
  { file, length, onBytes }: ReadOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = room(file, length ?? MOST_CONFIG_BYTES);
  let at = 0;
  try {
    const reader = stream.getReader(); // not every browser iterates over streams
    for (;;) {
      const { done, value: part } = await reader.read();
      if (done) break;
      if (at + part.length > bytes.length) {
        await reader.cancel();
        if (length !== undefined) throw new LonghandError("checkpoint", `${file}: longer than its ${length} bytes`);
        throw new LonghandError(
          "config",
          `${file}: over ${MOST_CONFIG_BYTES} bytes, so it is not the configuration of an export`,
        );
      }
      bytes.set(part, at);
      at += part.length;
      onBytes(part.length);
    }
  } catch (error) {
    if (error instanceof LonghandError) throw error;
    throw new LonghandError("io", `${file}: it stopped after ${at} bytes (${messageOf(error)})`, { cause: error });
  }
  if (length !== undefined && at !== length) throw wrongLength(file, at, length);
  return bytes.subarray(0, at);
}

function room(file: string, length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (error) {
    throw new LonghandError("usage", `${file}: ${length} bytes are more than this browser can hold`, { cause: error });
  }
}

function wrongLength(file: string, found: number, expected: number): LonghandError {
  const cause = found < expected ? "it was cut short" : "it was changed";
  return new LonghandError("checkpoint", `${file}: ${found} bytes long instead of ${expected}: ${cause}`);
}
