/**
 * The page of the studio, as it was built: files known by name when the server starts, so that no path leads
 * elsewhere.
 */
import { readdirSync, readFileSync } from "node:fs";
import { extname, join, relative, sep } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".wasm": "application/wasm",
  ".txt": "text/plain; charset=utf-8",
};

export interface PageFile {
  readonly type: string;
  readonly read: () => Buffer;
}

/** By the path of a request, such as /assets/index.js. None where the page was not built. */
export function pageFiles(folder: string): ReadonlyMap<string, PageFile> {
  let entries: string[];
  try {
    entries = readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return new Map();
  }
  return new Map(
    entries.map((path) => {
      const type = TYPES[extname(path)] ?? "application/octet-stream";
      return [`/${relative(folder, path).split(sep).join("/")}`, { type, read: () => readFileSync(path) }];
    }),
  );
}
