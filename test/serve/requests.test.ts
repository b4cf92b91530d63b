/** Requests that are wrong, too large, slow, many, or of somebody who may not ask: a clear error each, and the server goes on. */
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Server, serve } from "../../src/serve/serve.ts";
import { fail } from "../cli/command.ts";
import { type Body, complete, metric, send, servers, trainedModels, until } from "./server.ts";

const { folder, book } = trainedModels("masked");
const start = servers();
const lines: string[] = [];
let server: Server;

beforeAll(async () => {
  const log = { write: (line: string) => void lines.push(line) };
  const limits = { bodyKilobytes: 64, promptTokens: 500, mostTokens: 100_000 };
  server = await start({ models: [book, `${folder}/masked`], log, ...limits });
}, 60_000);

const completions = "/v1/completions";
const own = { model: "book", prompt: "It was", max_tokens: 2 };

describe("a wrong request", () => {
  it.each<[string, unknown, number, RegExp, string | null]>([
    ["no JSON", '{"model": "book", ', 400, /^the body is not valid JSON$/, null],
    ["nothing", "", 400, /^the body is not valid JSON$/, null],
    ["a list", [], 400, /^value \[\]: expected an object$/, null],
    ["a prototype", '{"__proto__": {"model": "book"}}', 400, /not valid JSON/, null],
    ["no model", { prompt: "a" }, 400, /^model is missing/, "model"],
    ["an unknown model", { ...own, model: "none" }, 404, /^model: there is no "none"; here are book, masked$/, "model"],
    ["an unknown field", { ...own, tempersture: 1 }, 400, /^unknown field tempersture$/, "tempersture"],
    ["a wrong type", { ...own, max_tokens: "2" }, 400, /^max_tokens "2": expected/, "max_tokens"],
    [
      "a number",
      { ...own, prompt: 5 },
      400,
      /^prompt 5: expected a text, a list of tokens, or a list of either$/,
      "prompt",
    ],
    ["half a token", { ...own, prompt: [1.5] }, 400, /^prompt/, "prompt"],
    [
      "an unknown token",
      { ...own, prompt: [100_000] },
      400,
      /^prompt: expected tokens from 0 to \d+, got 100000$/,
      "prompt",
    ],
    ["half a character", { ...own, prompt: "\ud800" }, 400, /text to encode/, null],
    ["a hot temperature", { ...own, temperature: -1 }, 400, /^temperature -1: /, "temperature"],
    ["no tokens", { ...own, max_tokens: -1 }, 400, /^max_tokens -1: /, "max_tokens"],
    [
      "many tokens",
      { ...own, max_tokens: 100_001 },
      400,
      /^max_tokens: expected at most 100000, got 100001$/,
      "max_tokens",
    ],
    ["many choices", { ...own, n: 1000 }, 400, /^n: expected at most 8/, "n"],
    ["the best of some", { ...own, best_of: 3 }, 400, /^best_of: expected 1, as n/, "best_of"],
    ["a suffix", { ...own, suffix: "end" }, 400, /^suffix "end": this server has no suffix/, "suffix"],
    ["five stops", { ...own, stop: ["a", "b", "c", "d", "e"] }, 400, /^stop /, "stop"],
    [
      "a biased stranger",
      { ...own, logit_bias: { 99999: 1 } },
      400,
      /^logit_bias: expected tokens from 0/,
      "logit_bias",
    ],
    ["a biased word", { ...own, logit_bias: { whale: 1 } }, 400, /logit_bias/, "logit_bias"],
    [
      "usage of no stream",
      { ...own, stream_options: { include_usage: true } },
      400,
      /^stream_options: /,
      "stream_options",
    ],
    [
      "a session that is none",
      { ...own, session: "../../etc" },
      400,
      /^session "\.\.\/\.\.\/etc": expected true/,
      "session",
    ],
    ["an unknown session", { ...own, session: `sess_${"x".repeat(32)}` }, 404, /^session: there is none/, "session"],
    [
      "two prompts of a session",
      { ...own, prompt: ["a", "b"], session: true },
      400,
      /^session: expected one prompt/,
      "session",
    ],
    [
      "a long prompt",
      { ...own, prompt: "word ".repeat(2000) },
      400,
      /^prompt: expected at most 500 tokens, got/,
      "prompt",
    ],
    [
      "a body that is too large",
      { ...own, prompt: "word ".repeat(20_000) },
      413,
      /^the body is larger than 64 kB$/,
      null,
    ],
    ["a masked model", { ...own, model: "masked" }, 400, /^model: masked fills in blanks/, "model"],
  ])("with %s is refused in OpenAI's form", async (_, body, expected, message, param) => {
    for (const stream of [false, true]) {
      if (stream && (typeof body === "string" || Array.isArray(body) || param === "stream_options")) continue;
      const given = stream ? { ...(body as object), stream } : body;
      const { status, body: answer } = await send(server, completions, given);
      expect([status, answer.error.message]).toEqual([expected, expect.stringMatching(message)]);
      expect(answer.error).toMatchObject({ type: "invalid_request_error", param });
    }
  });

  it("of another content type, method or path is refused", async () => {
    const text = await fetch(server.address + completions, { method: "POST", body: JSON.stringify(own) });
    expect([text.status, await text.json()]).toMatchObject([415, { error: { type: "invalid_request_error" } }]);
    const got = await fetch(server.address + completions);
    expect([got.status, await got.json()]).toMatchObject([404, { error: { code: "not_found" } }]);
    const [unknown] = await Promise.all([fetch(`${server.address}/v1/chat/completions`)]);
    expect(unknown.status).toBe(404);
  });

  it("leaves a server that answers, and a log with a number for each request and none of its text", async () => {
    expect((await complete(server, own)).usage.completion_tokens).toBe(2);
    const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const last = records.filter(({ msg }) => msg === "request").at(-1);
    expect(last).toMatchObject({ route: completions, status: 200, reqId: expect.stringMatching(/^req_[0-9a-f]{24}$/) });
    expect(lines.join("")).not.toMatch(/It was|word word|tempersture/);
  });
});

describe("other routes", () => {
  it("score texts: bits of a text are those of its tokens", async () => {
    const { body } = await send(server, "/score", { model: "book", input: ["It was a ship.", "xqzj"], tokens: true });
    const [ship, noise] = body.data;
    expect(ship.each.reduce((sum, { bits }) => sum + bits, 0)).toBeCloseTo(ship.bits, 6);
    expect(ship.bits / ship.tokens).toBeLessThan(noise.bits / noise.tokens);
  });

  it("fill blanks", async () => {
    const fields = { model: "masked", input: "It was a [MASK] whale.", top_k: 3 };
    const { status, body } = await send(server, "/fill", fields);
    expect(status).toBe(200);
    expect(body.blanks[0]).toHaveLength(3);
    const refused = await send(server, "/fill", { ...fields, model: "book" });
    expect([refused.status, refused.body.error.message]).toEqual([400, expect.not.stringContaining(folder)]);
    expect((await send(server, "/fill", { ...fields, input: "none" })).status).toBe(400);
  });

  it("take no empty input", async () => {
    for (const path of ["/v1/embeddings", "/score"])
      expect((await send(server, path, { model: "book", input: "" })).body.error.param).toBe("input");
  });
});

/** A connection that sends a request by hand. */
async function raw(address: string, text: string): Promise<Socket> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.write(text);
  return socket;
}

const request = (fields: object) => {
  const body = JSON.stringify(fields);
  const head = `POST ${completions} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
  return `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
};

describe("a client", () => {
  it("that does not read is waited for, in constant memory, and costs others nothing", async () => {
    const endless = { ...own, max_tokens: 100_000, stream: true, logit_bias: { 0: -100 }, logprobs: 20 };
    const socket = await raw(server.address, request(endless));
    socket.pause();
    let before = -1;
    // Its text is written until the buffers of the connection are full; then no more of it.
    await until(async () => {
      const now = await metric(server, "written_tokens_total");
      const stopped = now > 0 && now === before;
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 600));
      return stopped;
    });
    expect(await metric(server, "active_texts")).toBe(1);
    expect((await complete(server, own)).usage.completion_tokens).toBe(2);
    socket.resume(); // it goes on when it is read again
    const held = before;
    await until(async () => (await metric(server, "written_tokens_total")) > held + 200);
    socket.destroy();
    await until(async () => (await metric(server, "active_texts")) === 0);
  });

  it("may be one of a thousand that say nothing", async () => {
    const sockets = await Promise.all(Array.from({ length: 1000 }, () => raw(server.address, "")));
    expect((await complete(server, own)).usage.completion_tokens).toBe(2);
    for (const socket of sockets) socket.destroy();
    expect((await fetch(`${server.address}/healthz`)).status).toBe(200);
  });

  it("that sends too slowly is told so, and its connection closed", async () => {
    const hasty = await start({ models: [book], receiveSeconds: 1 });
    for (const length of [20, request(own).length - 5]) {
      const half = await raw(hasty.address, request(own).slice(0, length));
      let answer = "";
      half.on("data", (data) => {
        answer += String(data);
      });
      await new Promise((resolve) => half.once("close", resolve));
      expect(answer).toMatch(/^HTTP\/1\.1 408 .*"error"/s);
    }
    expect((await complete(hasty, own)).usage.completion_tokens).toBe(2);
  });

  it("that sends half a request and leaves changes nothing", async () => {
    const half = await raw(server.address, request(own).slice(0, -5));
    half.destroy();
    const nonsense = await raw(server.address, "\x16\x03\x01 no HTTP at all\r\n\r\n");
    const answer = await new Promise<string>((resolve) => nonsense.once("data", (data) => resolve(String(data))));
    expect(answer).toMatch(/^HTTP\/1\.1 400/);
    nonsense.destroy();
    expect((await complete(server, own)).usage.completion_tokens).toBe(2);
  });
});

describe("who may ask", () => {
  it("is everyone with the key, where there is one; health is everybody's", async () => {
    const closed = await start({ models: [book], key: "a secret" });
    const ask = (authorization?: string) =>
      send(closed, completions, own, authorization === undefined ? {} : { authorization });
    expect((await ask("Bearer a secret")).status).toBe(200);
    for (const wrong of [undefined, "Bearer a secre", "Bearer a secrets", "Basic a secret", "Bearer "]) {
      const { status, body } = await ask(wrong);
      expect([status, body.error]).toMatchObject([401, { type: "authentication_error", code: "invalid_api_key" }]);
    }
    expect((await fetch(`${closed.address}/metrics`)).status).toBe(401);
    expect((await fetch(`${closed.address}/healthz`)).status).toBe(200);
  });

  it("is no page of another origin, unless asked for", async () => {
    const origin = "https://example.org";
    const preflight = (to: Server, from: string) =>
      fetch(to.address + completions, { method: "OPTIONS", headers: { origin: from } });
    expect((await preflight(server, origin)).headers.get("access-control-allow-origin")).toBeNull();
    const open = await start({ models: [book], cors: origin });
    const allowed = await preflight(open, origin);
    expect([allowed.status, allowed.headers.get("access-control-allow-origin")]).toEqual([204, origin]);
    expect((await preflight(open, "https://other.org")).headers.get("access-control-allow-origin")).toBeNull();
    const answer = await send(open, completions, own, { origin });
    expect(answer.headers.get("access-control-allow-origin")).toBe(origin);
  });

  it("is no page whose name was made to point at this machine", async () => {
    const socket = await raw(server.address, request(own).replace("Host: localhost", "Host: evil.example"));
    const answer = await new Promise<string>((resolve) => socket.once("data", (data) => resolve(String(data))));
    expect(answer).toMatch(/^HTTP\/1\.1 403.*"permission_error"/s);
    socket.destroy();
  });

  it("is told when nobody is kept out", async () => {
    const warnings: string[] = [];
    const onWarning = (message: string) => void warnings.push(message);
    await start({ models: [book], host: "0.0.0.0", onWarning });
    await start({ models: [book], host: "0.0.0.0", key: "a secret", onWarning });
    expect(warnings).toEqual([expect.stringMatching(/anyone who reaches 0\.0\.0\.0 .* LONGHAND_API_KEY/)]);
  });
});

describe("a server", () => {
  it("ends a request that takes too long", async () => {
    const hasty = await start({ models: [book], requestSeconds: 1, mostTokens: 1_000_000 });
    const endless = { ...own, max_tokens: 1_000_000, logit_bias: { 0: -100 } };
    const { status, body } = await send(hasty, completions, endless);
    expect([status, body.error]).toMatchObject([504, { type: "server_error", code: "timeout" }]);
    const streamed = await fetch(hasty.address + completions, {
      ...{ method: "POST", headers: { "content-type": "application/json" } },
      body: JSON.stringify({ ...endless, stream: true }),
    });
    const events = (await streamed.text()).trim().split("\n\n");
    expect(JSON.parse((events.at(-1) as string).slice("data: ".length)) as Body).toMatchObject({
      error: { code: "timeout" },
    });
  });

  it("refuses what it cannot be started with, in one sentence", async () => {
    const { port } = new URL(server.address);
    const attempts: [object, RegExp][] = [
      [{ models: [] }, /^models: expected at least one/],
      [{ models: [book, `${folder}/./book`] }, /^models: two are named book/],
      [{ models: [`${folder}/none`] }, /none/],
      [{ models: [book], key: "" }, /^the key of the server: expected some text/],
      [{ models: [book, `${folder}/masked`], adapter: [book] }, /^`adapter`: expected one model/],
      [{ models: [book], batch: 0 }, /^`batch` 0: /],
    ];
    for (const [options, message] of attempts)
      await expect(start(options as Parameters<typeof start>[0])).rejects.toThrow(message);
    await expect(serve({ models: [book], port: Number(port) })).rejects.toThrow(/another program listens there/);
    await fail(["serve"], 2, /missing required argument 'model'/);
    await fail(["serve", book, "--port", "seventy"], 2, /^longhand: --port "seventy": expected a whole number/);
    await fail(["serve", join(folder, "none")], 1, /none/);
    await fail(["serve", book, "--port", port], 2, /another program listens there; choose another --port$/);
  });
});
