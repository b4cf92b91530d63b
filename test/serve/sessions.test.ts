/** Sessions: texts that go on from call to call, also in another server, after a kill, beside a disk that is full. */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Server } from "../../src/serve/serve.ts";
import { start as startCommand } from "../cli/command.ts";
import { type Body, complete, metric, send, servers, trainedModels, until } from "./server.ts";

const { folder, book } = trainedModels("transformer++");
const start = servers();

const greedy = { temperature: 0, max_tokens: 12 };
const look = async (server: Server, id: string, method = "GET") => {
  const response = await fetch(`${server.address}/v1/sessions/${id}`, { method });
  return { status: response.status, body: (await response.json()) as Body };
};
const filesIn = (sessions: string) => readdirSync(join(sessions, "book")).filter((name) => name.startsWith("sess_"));

describe("a session", () => {
  it("goes on with its text as if all of it had been sent", async () => {
    const server = await start({ models: [book], exact: true });
    const first = await complete(server, { ...greedy, prompt: "It was the whale. ".repeat(30), session: true });
    expect(first.session).toMatch(/^sess_[A-Za-z0-9_-]{32}$/);
    const fields = { ...greedy, session: first.session, prompt: " And then" };
    const second = await complete(server, fields);
    const whole = `${"It was the whale. ".repeat(30)}${first.choices[0].text} And then`;
    // Texts of tokens may be divided otherwise when they are sent as one; then only the length of the text tells.
    const again = await complete(server, { ...greedy, prompt: whole });
    expect(second.usage.prompt_tokens).toBeLessThan(10);
    expect((await look(server, first.session)).body.position).toBe(again.usage.prompt_tokens + 11);
    expect(second.choices[0].text).toBe(again.choices[0].text);
    const third = await complete(server, { ...greedy, session: first.session, prompt: "" });
    const last = await complete(server, { ...greedy, prompt: whole + second.choices[0].text });
    expect(third.choices[0].text).toBe(last.choices[0].text);
  });

  it("takes a text without writing, and is told in a stream", async () => {
    const server = await start({ models: [book], exact: true });
    const { session, choices } = await complete(server, { prompt: "It was the whale", max_tokens: 0, session: true });
    expect(choices[0].text).toBe("");
    const response = await fetch(`${server.address}/v1/completions`, {
      ...{ method: "POST", headers: { "content-type": "application/json" } },
      body: JSON.stringify({ ...greedy, model: "book", prompt: "", session, stream: true }),
    });
    const events = (await response.text())
      .trim()
      .split("\n\n")
      .map((line) => line.slice("data: ".length));
    expect(events.pop()).toBe("[DONE]");
    const chunks = events.map((event) => JSON.parse(event) as Body);
    expect(chunks.at(-1)?.session).toBe(session);
    const text = chunks.map(({ choices }) => choices[0]?.text ?? "").join("");
    expect(text).toBe((await complete(server, { ...greedy, prompt: "It was the whale" })).choices[0].text);
  });

  it("is one text: a second request at the same time is refused, and one that fails changes nothing", async () => {
    const server = await start({ models: [book], mostTokens: 100_000, requestSeconds: 2 });
    const { session } = await complete(server, { ...greedy, session: true });
    const { position } = (await look(server, session)).body;
    const endless = { model: "book", prompt: "", session, max_tokens: 100_000, logit_bias: { 0: -100 } };
    const long = send(server, "/v1/completions", endless);
    await until(async () => (await metric(server, "active_texts")) === 1);
    const other = await send(server, "/v1/completions", { model: "book", prompt: "a", session });
    expect([other.status, other.body.error.code]).toEqual([409, "session_busy"]);
    expect((await look(server, session, "DELETE")).status).toBe(409);
    expect((await long).status).toBe(504);
    expect((await look(server, session)).body.position).toBe(position);
    expect((await complete(server, { ...greedy, prompt: "", session })).usage.completion_tokens).toBe(12);
  });

  it("is gone when it is deleted, is one too many, or too old", async () => {
    const sessions = join(folder, "bounded");
    const server = await start({ models: [book], sessions, sessionCount: 2 });
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) ids.push((await complete(server, { ...greedy, session: true })).session);
    const found = await Promise.all(ids.map(async (id) => (await look(server, id)).status));
    expect(found).toEqual([404, 200, 200]);
    expect(filesIn(sessions).sort()).toEqual(
      ids
        .slice(1)
        .map((id) => `${id}.safetensors`)
        .sort(),
    );
    expect((await look(server, ids[1], "DELETE")).body).toMatchObject({ id: ids[1], deleted: true });
    expect((await look(server, ids[1])).status).toBe(404);
    expect(filesIn(sessions)).toEqual([`${ids[2]}.safetensors`]);
    await server.close();
    const old = new Date(Date.now() - 3_600_000);
    utimesSync(join(sessions, "book", `${ids[2]}.safetensors`), old, old);
    const next = await start({ models: [book], sessions, sessionHours: 0.5 });
    expect((await look(next, ids[2])).status).toBe(404);
    expect(filesIn(sessions)).toEqual([]);
  });

  it("leaves memory when there are many, and comes back from the disk", async () => {
    const sessions = join(folder, "spilled");
    // A state of this model has some 20 kB: a megabyte holds few of them.
    const server = await start({ models: [book], sessions, sessionCount: 1000, sessionMegabytes: 1 });
    const ids: string[] = [];
    for (let i = 0; i < 60; i++) ids.push((await complete(server, { ...greedy, seed: i, session: true })).session);
    await until(async () => (await metric(server, "session_bytes")) > 0);
    expect(await metric(server, "session_bytes")).toBeLessThanOrEqual(1e6);
    expect(await metric(server, "session_disk_bytes")).toBeLessThanOrEqual(1e6);
    const kept = await metric(server, "sessions");
    expect(kept).toBeGreaterThan(2);
    for (const id of ids.slice(-kept + 1))
      expect((await complete(server, { ...greedy, prompt: "", session: id })).session).toBe(id);
  });
});

describe("a saved session", () => {
  it.each(["book", "transformer++"])("of %s goes on in another server with the same bits", async (model) => {
    const sessions = join(folder, `moved ${model}`);
    const options = { models: [join(folder, model)], sessions, exact: true };
    const first = await start(options);
    const { session } = await complete(first, { ...greedy, model, session: true });
    cpSync(sessions, `${sessions} copy`, { recursive: true, filter: (path) => !path.endsWith(".lock") });
    const fields = {
      ...greedy,
      model,
      session,
      prompt: " and",
      logprobs: 2,
      temperature: 1,
      seed: 4,
      repetition_penalty: 1.2,
    };
    const expected = await complete(first, fields);
    await first.close();
    const second = await start({ ...options, sessions: `${sessions} copy` });
    const actual = await complete(second, fields);
    expect(actual.choices).toEqual(expected.choices);
    expect(statSync(join(sessions, model)).mode & 0o077).toBe(0); // nobody else's
  });

  it("is refused when it is damaged or of another model, and the server goes on", async () => {
    const sessions = join(folder, "damaged");
    const server = await start({ models: [book], sessions });
    const ids = await Promise.all(
      [1, 2, 3].map(async () => (await complete(server, { ...greedy, session: true })).session),
    );
    await server.close();
    const file = (id: string) => join(sessions, "book", `${id}.safetensors`);
    const bytes = readFileSync(file(ids[0]));
    bytes[bytes.length - 100] ^= 1;
    writeFileSync(file(ids[0]), bytes);
    writeFileSync(file(ids[1]), readFileSync(file(ids[1])).subarray(0, 1000));
    writeFileSync(join(sessions, "book", "sess_notes.txt"), "not a session");
    const warnings: string[] = [];
    const onWarning = (message: string) => void warnings.push(message);
    const next = await start({ models: [book], sessions, onWarning });
    for (const session of ids.slice(0, 2)) {
      const { status, body } = await send(next, "/v1/completions", { ...greedy, model: "book", prompt: "", session });
      expect([status, body.error.code]).toEqual([410, "session_damaged"]);
      expect(body.error.message).not.toContain(folder);
    }
    expect(warnings).toEqual([expect.stringMatching(/checksum/), expect.stringMatching(/reach beyond/)]);
    expect((await complete(next, { ...greedy, prompt: "", session: ids[2] })).session).toBe(ids[2]);
    await next.close();
    const twin = join(folder, "other", "book");
    cpSync(join(folder, "transformer++"), twin, { recursive: true });
    const other = await start({ models: [twin], sessions, onWarning });
    const { status } = await send(other, "/v1/completions", { ...greedy, model: "book", prompt: "", session: ids[2] });
    expect(status).toBe(410);
    expect(warnings.at(-1)).toMatch(/another model/);
  });

  it("belongs to one server at a time", async () => {
    const sessions = join(folder, "locked");
    await start({ models: [book], sessions });
    await expect(start({ models: [book], sessions })).rejects.toThrow(/another server uses/);
  });

  it("is whole after a kill in the middle of a request", { timeout: 60_000 }, async () => {
    const sessions = join(folder, "killed");
    const args = ["serve", book, "--port", "0", "--sessions", sessions, "--json"];
    const address = (stdout: string) =>
      (JSON.parse(stdout.split("\n").find((line) => line.includes('listening"')) as string) as { address: string })
        .address;
    const command = startCommand(args);
    let output = "";
    command.child.stdout?.on("data", (text: string) => {
      output += text;
    });
    await command.saw(/"type":"listening"/);
    const server = { address: address(output) } as Server;
    const { session } = await complete(server, { ...greedy, session: true });
    const fields = { ...greedy, prompt: " and", session };
    const busy = Array.from({ length: 6 }, () =>
      complete(server, { ...greedy, max_tokens: 5000, session: true }).catch(() => undefined),
    );
    const going = complete(server, { ...fields, max_tokens: 5000 }).catch(() => undefined);
    await until(async () => (await metric(server, "active_texts")) > 4);
    command.child.kill("SIGKILL");
    await Promise.all([...busy, going, command.ended]);
    const next = await start({ models: [book], sessions });
    expect(readdirSync(join(sessions, "book")).filter((name) => name.includes(".tmp-"))).toEqual([]);
    expect((await complete(next, fields)).usage.completion_tokens).toBe(12);
  });
});

const possible =
  process.platform === "linux" &&
  spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "longhand", tmpdir()]).status === 0;

describe("a disk", () => {
  it.runIf(possible)("that is full costs a warning: the session goes on in memory", { timeout: 60_000 }, async () => {
    const disk = join(folder, "disk");
    mkdirSync(disk);
    const script = 'disk=$1; shift; mount -t tmpfs -o size=12k longhand "$disk" && exec "$@"';
    const through = ["unshare", "-rm", "bash", "-c", script, "bash", disk];
    const command = startCommand(["serve", book, "--port", "0", "--sessions", disk, "--json"], { through });
    let output = "";
    command.child.stdout?.on("data", (text: string) => {
      output += text;
    });
    await command.saw(/"type":"listening"/);
    const server = { address: /"address":"([^"]+)"/.exec(output)?.[1] } as Server;
    const { session } = await complete(server, { ...greedy, session: true });
    expect((await complete(server, { ...greedy, prompt: "", session })).session).toBe(session);
    command.child.kill("SIGTERM");
    const { status, stderr } = await command.ended;
    expect(stderr).toMatch(/warning: a session is kept in memory only: cannot write .*: the disk is full/);
    expect(status).toBe(0);
  });

  it.skipIf(process.getuid?.() === 0)("that may not be written to is an error at the start", async () => {
    const sessions = join(folder, "read-only");
    mkdirSync(sessions);
    chmodSync(sessions, 0o500);
    await expect(start({ models: [book], sessions })).rejects.toThrow(/no permission/);
  });
});

describe("a server that is told to stop", () => {
  it.each(["SIGTERM", "SIGINT"] as const)(
    "by %s finishes what it has begun, and takes nothing more",
    { timeout: 60_000 },
    async (signal) => {
      const sessions = join(folder, `stopped ${signal}`);
      const command = startCommand(["serve", book, "--port", "0", "--sessions", sessions, "--json"]);
      let output = "";
      command.child.stdout?.on("data", (text: string) => {
        output += text;
      });
      await command.saw(/"type":"listening"/);
      const server = { address: /"address":"([^"]+)"/.exec(output)?.[1] } as Server;
      const going = complete(server, { ...greedy, max_tokens: 2000, logit_bias: { 0: -100 }, session: true });
      await until(async () => (await metric(server, "active_texts")) === 1);
      command.child.kill(signal);
      await command.saw(/stopping/);
      await expect(fetch(`${server.address}/healthz`)).rejects.toThrow();
      const { usage, session } = await going;
      expect(usage.completion_tokens).toBe(2000);
      expect(await command.ended).toMatchObject({ status: 0, signal: null });
      expect(filesIn(sessions)).toEqual([`${session}.safetensors`]);
    },
  );

  it("ends what would take longer than its grace with an error", async () => {
    const server = await start({ models: [book], graceSeconds: 1, mostTokens: 1_000_000 });
    const endless = { model: "book", prompt: "a", max_tokens: 1_000_000, logit_bias: { 0: -100 } };
    const going = send(server, "/v1/completions", endless);
    await until(async () => (await metric(server, "active_texts")) === 1);
    const closed = server.close();
    const { status, body } = await going;
    expect([status, body.error.code]).toEqual([503, "stopping"]);
    await closed;
  });
});
