/**
 * A Hugging Face hub on loopback that answers data set requests like the real one: commits of revisions, listings in pages
 * with a Link header, `resolve` that redirects large files to another origin and serves ranges, its error codes. Faults
 * are put in front of it one by one.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface TestDataset {
  readonly files: Record<string, Uint8Array>;
  /** Who may read it: everybody, holders of `token`, or nobody before terms are accepted. */
  readonly access?: "public" | "private" | "gated";
}

/** What happens to the next request that matches, instead of or after the usual answer. */
export interface Fault {
  /** A part of the address; matches every request when absent. */
  readonly of?: string;
  readonly times?: number;
  /** Answers with this status. */
  readonly status?: number;
  readonly headers?: Record<string, string>;
  /** Cuts the connection after so many bytes of the body. */
  readonly cutAfter?: number;
  /** Matches only requests for a range that begins here. */
  readonly rangeFrom?: number;
  /** Never answers. */
  readonly stall?: boolean;
}

export interface SeenRequest {
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

export const TOKEN = "hf_test";
const PAGE = 3;
/** Files up to this size are git's own and come without a redirect. */
const SMALL = 1000;

export class TestHub {
  readonly requests: SeenRequest[] = [];
  readonly #datasets = new Map<string, TestDataset>();
  readonly #faults: (Fault & { left: number })[] = [];
  readonly #server = createServer((request, response) => this.#answer(request, response));

  static async start(): Promise<TestHub> {
    const hub = new TestHub();
    await new Promise<void>((resolve) => hub.#server.listen(0, "127.0.0.1", resolve));
    return hub;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get #port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Makes a data set, or a new commit of one. */
  put(name: string, dataset: TestDataset): void {
    this.#datasets.set(name, dataset);
  }

  fault(fault: Fault): void {
    this.#faults.push({ ...fault, left: fault.times ?? 1 });
  }

  clearFaults(): void {
    this.#faults.length = 0;
  }

  /** The commit of a data set: another one for other files. */
  commitOf(name: string): string {
    const hash = createHash("sha1");
    for (const [path, bytes] of Object.entries(this.#datasets.get(name)?.files ?? {})) hash.update(path).update(bytes);
    return hash.digest("hex");
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", this.endpoint);
    const { authorization, range } = request.headers;
    this.requests.push({ path: url.pathname, range, authorization });
    const fault = this.#faults.find(
      ({ of, rangeFrom, left }) =>
        left > 0 &&
        url.pathname.includes(of ?? "") &&
        (rangeFrom === undefined || range?.startsWith(`bytes=${rangeFrom}-`)),
    );
    if (fault !== undefined) fault.left--;
    if (fault?.stall) return;
    if (fault?.status !== undefined) {
      response.writeHead(fault.status, fault.headers).end("no");
      return;
    }
    const [, name, rest] =
      /^\/(?:api\/)?(?:datasets|contents)\/([^/]+\/[^/]+)\/(.*)$/.exec(decodeURIComponent(url.pathname)) ?? [];
    const dataset = this.#datasets.get(name);
    if (url.pathname.startsWith("/contents/")) {
      this.#send(request, response, dataset?.files[rest] as Uint8Array, fault);
      return;
    }
    const refused = this.#refusal(dataset, authorization);
    const commit = this.commitOf(name);
    const [kind, revision, ...path] = rest.split("/");
    const bytes = dataset?.files[path.join("/")];
    const known = [commit, "main", ...(kind === "revision" ? ["HEAD"] : [])].includes(revision);
    if (refused !== undefined) refuse(response, ...refused);
    else if (!known) refuse(response, 404, "RevisionNotFound");
    else if (kind === "revision") {
      json(response, { _id: "1", id: name, sha: commit, lastModified: "2024-01-01T00:00:00.000Z" });
    } else if (kind === "tree") this.#list(url, response, dataset as TestDataset, path.join("/"));
    else if (bytes === undefined) refuse(response, 404, "EntryNotFound");
    else if (bytes.length <= SMALL) this.#send(request, response, bytes, fault);
    else this.#redirect(request, response, `${name}/${path.join("/")}`, bytes);
  }

  #redirect(request: IncomingMessage, response: ServerResponse, path: string, bytes: Uint8Array): void {
    const linked = { "X-Linked-Size": String(bytes.length), "X-Linked-ETag": `"${sha256(bytes)}"` };
    if (request.headers.accept?.includes("application/vnd.xet-fileinfo+json")) {
      const links = `<${this.endpoint}/xet-auth>; rel="xet-auth", <${this.endpoint}/xet>; rel="xet-reconstruction-info"`;
      const headers = { ...linked, "X-Xet-Hash": sha256(bytes), Link: links };
      response.writeHead(200, { ...headers, "Content-Type": "application/vnd.xet-fileinfo+json" }).end("{}");
      return;
    }
    // Another host name is another origin: the token must not follow.
    const location = `http://localhost:${this.#port}/contents/${path}`;
    response.writeHead(302, { ...linked, Location: location }).end();
  }

  #refusal(dataset: TestDataset | undefined, authorization: string | undefined): [number, string] | undefined {
    const known = authorization === `Bearer ${TOKEN}`;
    if (authorization !== undefined && !known) return [401, "RepoNotFound"];
    if (dataset === undefined) return [known ? 404 : 401, "RepoNotFound"];
    if (dataset.access === "private" && !known) return [401, "RepoNotFound"];
    return dataset.access === "gated" ? [403, "GatedRepo"] : undefined;
  }

  #list(url: URL, response: ServerResponse, { files }: TestDataset, folder: string): void {
    const recursive = url.searchParams.get("recursive") === "true";
    const prefix = folder === "" ? "" : `${folder}/`;
    const below = Object.keys(files).filter((path) => path.startsWith(prefix));
    if (below.length === 0) {
      refuse(response, 404, "EntryNotFound");
      return;
    }
    const shown = below.filter((path) => recursive || !path.slice(prefix.length).includes("/"));
    const folders = new Set(below.map((path) => prefix + path.slice(prefix.length).split("/")[0]));
    const entries: object[] = [...folders]
      .filter((path) => files[path] === undefined)
      .map((path) => ({ type: "directory", path, size: 0, oid: "0".repeat(40) }));
    for (const path of shown.sort()) entries.push(entryOf(path, files[path]));
    const from = Number(url.searchParams.get("cursor") ?? 0);
    if (from + PAGE < entries.length) {
      url.searchParams.set("cursor", String(from + PAGE));
      response.setHeader("Link", `<${url.href}>; rel="next"`);
    }
    json(response, entries.slice(from, from + PAGE));
  }

  #send(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array, fault: Fault | undefined): void {
    const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    if (start !== undefined && Number(start) >= bytes.length) {
      response.writeHead(416).end();
      return;
    }
    const part = start === undefined ? bytes : bytes.subarray(Number(start), Number(end) + 1);
    response.writeHead(start === undefined ? 200 : 206, {
      "Accept-Ranges": "bytes",
      "Content-Length": part.length,
      ETag: `"${sha256(bytes)}"`,
      ...(start === undefined
        ? {}
        : { "Content-Range": `bytes ${start}-${Number(start) + part.length - 1}/${bytes.length}` }),
    });
    if (fault?.cutAfter === undefined) response.end(part);
    else response.write(part.subarray(0, fault.cutAfter), () => setTimeout(() => response.destroy(), 20));
  }
}

function entryOf(path: string, bytes: Uint8Array): object {
  const oid = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  const size = bytes.length;
  if (size <= SMALL) return { type: "file", path, size, oid };
  return { type: "file", path, size, oid, lfs: { oid: sha256(bytes), size, pointerSize: 134 } };
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { "Content-Type": "application/json", "X-Error-Code": code });
  response.end(JSON.stringify({ error: code }));
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
