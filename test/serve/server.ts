/** What the tests of the server share: small models that have learnt something, a server of them, plain requests. */
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { type ServeOptions, type Server, serve } from "../../src/serve/serve.ts";
import { succeed, tiny, workspace } from "../cli/command.ts";

/** As `tiny`, without the fields of FLASH. */
const small = "--set model.layers=1 --set model.width=32 --context 64 --batch 2 --vocab 300 --threads 1".split(" ");

/** A folder with a model named `book`, and what else is asked for: `masked`, or another architecture under its name. */
export function trainedModels(...others: readonly ("masked" | "transformer++")[]) {
  const { folder, text } = workspace();
  const book = join(folder, "book");
  const training = ["--data", text, "--steps", "40", "--lr", "0.01"];
  beforeAll(async () => {
    await succeed(["train", "--out", book, ...training, ...tiny]);
    for (const name of others) {
      const own = name === "masked" ? [...tiny, "--objective", "masked"] : [...small, "--model", name];
      await succeed(["train", "--out", join(folder, name), ...training, ...own]);
    }
  }, 120_000);
  return { folder, text, book };
}

/** Servers that are closed after the tests of a file. */
export function servers() {
  const running: Server[] = [];
  afterAll(async () => {
    await Promise.all(running.map((server) => server.close()));
  }, 60_000);
  return async (options: Omit<ServeOptions, "port">): Promise<Server> => {
    const server = await serve({ graceSeconds: 0, ...options, port: 0 });
    running.push(server);
    return server;
  };
}

/** Sends a body (a text as it is, anything else as JSON). */
export async function send(server: Server, path: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(server.address + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Body };
}

/** The parts of answers that tests read. */
export interface Body {
  readonly choices: {
    readonly text: string;
    readonly finish_reason: string;
    readonly logprobs: { tokens: string[]; token_logprobs: (number | null)[]; text_offset: number[] };
  }[];
  readonly usage: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly prompt_tokens_details: { readonly cached_tokens: number };
  };
  readonly session: string;
  readonly position: number;
  readonly deleted: boolean;
  readonly data: {
    readonly bits: number;
    readonly tokens: number;
    readonly each: { bits: number }[];
    readonly id: string;
  }[];
  readonly text: string;
  readonly blanks: { readonly probability: number }[][];
  readonly status: string;
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** A completion, which must succeed. */
export async function complete(server: Server, fields: object): Promise<Body> {
  const { status, body } = await send(server, "/v1/completions", { model: "book", prompt: "It was", ...fields });
  if (status !== 200) throw new Error(`${status}: ${JSON.stringify(body)}`);
  return body;
}

/** The value of a metric of the model. */
export async function metric(server: Server, name: string, headers: Record<string, string> = {}): Promise<number> {
  const text = await (await fetch(`${server.address}/metrics`, { headers })).text();
  const line = text.split("\n").find((line) => line.startsWith(`longhand_${name}{model="book"} `));
  if (line === undefined) throw new Error(`no metric ${name}`);
  return Number(line.split(" ").at(-1));
}

/** Waits until something holds, at most for the time limit of the test. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
