/**
 * Asks the server that served this page: JSON, lines of JSON as they come, bytes. Types are those of
 * src/studio/api.ts.
 */
import type { Api, Refusal } from "../../src/studio/api.ts";

type Input<Route> = Route extends { readonly query: infer Query }
  ? Query
  : Route extends { readonly body: infer Body }
    ? Body
    : never;
type Answer<Path extends keyof Api & string> = Api[Path]["answer"];

/** What the server refused, as a sentence that can be shown. */
export class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export async function ask<Path extends keyof Api & string>(
  path: Path,
  input: Input<Api[Path]>,
  signal?: AbortSignal,
): Promise<Answer<Path>> {
  return (await request(path, input, signal)).json();
}

export async function askBytes<Path extends keyof Api & string>(
  path: Path,
  input: Input<Api[Path]>,
): Promise<ArrayBuffer> {
  return (await request(path, input)).arrayBuffer();
}

/** Each line of an NDJSON answer. Aborting the signal tells the server to stop. */
export async function* askLines<Path extends keyof Api & string>(
  path: Path,
  input: Input<Api[Path]>,
  signal: AbortSignal,
): AsyncGenerator<Answer<Path>> {
  const { body } = await request(path, input, signal);
  if (body === null) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : (lines.pop() ?? "");
    for (const line of lines) if (line !== "") yield JSON.parse(line);
    if (done) return;
  }
}

async function request(path: string, input: unknown, signal?: AbortSignal): Promise<Response> {
  const [method, url] = path.split(" ");
  const options: RequestInit = { method, ...(signal && { signal }) };
  let query = "";
  if (method === "GET") {
    query = queryOf(input as Readonly<Record<string, unknown>>);
  } else {
    options.headers = { "content-type": "application/json" };
    options.body = JSON.stringify(input);
  }
  let response: Response;
  try {
    response = await fetch(url + query, options);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, "The studio does not answer; is `longhand studio` still running?");
  }
  if (response.ok) return response;
  const refusal: Partial<Refusal> = await response.json().catch(() => ({}));
  throw new Refused(response.status, refusal.error ?? `The studio answered ${response.status}.`);
}

function queryOf(input: Readonly<Record<string, unknown>>): string {
  const pairs = Object.entries(input).flatMap(([name, value]) =>
    [value].flat().flatMap((one) => (one === undefined ? [] : [[name, String(one)]])),
  );
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs)}`;
}

/** What went wrong, as a sentence; undefined for what was only cancelled. */
export function sentenceOf(error: unknown): string | undefined {
  if (error instanceof DOMException && error.name === "AbortError") return undefined;
  return error instanceof Error ? error.message : String(error);
}
