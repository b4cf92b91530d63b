/** The studio over a folder of a test's own, asked without a network. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { createStudioApp } from "../../src/studio/http/app.ts";
import { studioParts } from "../../src/studio/studio.ts";

export const TOKEN = "the-token-of-this-test";

interface StudioUnderTest {
  /** Folder of the page: default none. */
  readonly page?: string;
  /** The words that start Longhand's command line. */
  readonly program?: readonly string[];
}

interface Request {
  readonly method?: "GET" | "POST";
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `outside` is the folder around the runs folder. */
export function studioUnderTest({ page, program = [process.execPath] }: StudioUnderTest = {}) {
  const outside = mkdtempSync(join(tmpdir(), "longhand-test-"));
  const folder = join(outside, "runs");
  mkdirSync(folder);
  const warnings: string[] = [];
  const onWarning = (message: string) => void warnings.push(message);
  const parts = studioParts(folder, { program, onWarning });
  const app = createStudioApp({ ...parts, token: TOKEN, page: page ?? join(outside, "no page"), onWarning });
  afterAll(async () => {
    parts.live.close();
    await app.close();
    await parts.models.close();
    rmSync(outside, { recursive: true, force: true });
  });
  /** As a program with the token asks, unless the headers say otherwise. */
  async function ask(url: string, { body, method = body === undefined ? "GET" : "POST", headers = {} }: Request = {}) {
    const own = { host: "localhost:8090", authorization: `Bearer ${TOKEN}`, ...headers };
    const sent = body === undefined ? {} : { payload: JSON.stringify(body) };
    const type = body === undefined ? {} : { "content-type": "application/json" };
    const answer = await app.inject({ method, url, headers: { ...type, ...own }, ...sent });
    return { status: answer.statusCode, headers: answer.headers, text: answer.body, bytes: answer.rawPayload };
  }
  /** The answer to what must succeed. */
  async function answer<T>(url: string, request: Request = {}): Promise<T> {
    const { status, text } = await ask(url, request);
    if (status !== 200) throw new Error(`${url}: ${status} ${text}`);
    return JSON.parse(text) as T;
  }
  /** Its lines of JSON. */
  async function lines<T>(url: string, request: Request): Promise<T[]> {
    const { status, text } = await ask(url, request);
    if (status !== 200) throw new Error(`${url}: ${status} ${text}`);
    return text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as T);
  }
  /** Its address, for what needs a network. */
  const listen = () => app.listen({ host: "127.0.0.1", port: 0 });
  return { listen, outside, folder, parts, warnings, ask, answer, lines };
}
