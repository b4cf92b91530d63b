/** `longhand studio`: who gets in, a training that is started, stopped and resumed from it, and its own end. */
import { existsSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CommandLine, RunSummary, StudioEvent, Training } from "../../src/studio/api.ts";
import { jsonLines, type Running, root, start, workspace } from "./command.ts";

const { folder, text } = workspace();
const runs = join(folder, "runs");

let studio: Running;
let [address, token] = ["", ""];

beforeAll(async () => {
  studio = start(["studio", runs, "--port", "0", "--json"], { timeoutMs: 150_000 });
  await studio.saw(/"listening".*\n/);
  const [, base, secret] = /(http:\/\/127\.0\.0\.1:\d+)\/\?token=([\w-]{20,})/.exec(studio.output().stdout) ?? [];
  [address, token] = [base, secret];
}, 60_000);

afterAll(() => {
  studio.child.kill("SIGKILL");
});

const own = () => ({ authorization: `Bearer ${token}` });

async function get<T>(path: string): Promise<T> {
  const answer = await fetch(address + path, { headers: own() });
  expect(answer.status, path).toBe(200);
  return (await answer.json()) as T;
}

async function post<T>(path: string, body: object): Promise<T> {
  const headers = { ...own(), "content-type": "application/json" };
  const answer = await fetch(address + path, { method: "POST", headers, body: JSON.stringify(body) });
  expect(answer.status, `${path} ${JSON.stringify(body)}`).toBe(200);
  return (await answer.json()) as T;
}

/** Waits until the events of the studio have one that matches. */
async function event(matches: (event: StudioEvent) => boolean): Promise<StudioEvent> {
  const controller = new AbortController();
  const { body } = await fetch(`${address}/api/events`, { headers: own(), signal: controller.signal });
  if (body === null) throw new Error("no events");
  let rest = "";
  for await (const part of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + part).split("\n\n");
    rest = lines.pop() ?? "";
    for (const line of lines.filter((each) => each.startsWith("data: "))) {
      const found: StudioEvent = JSON.parse(line.slice("data: ".length));
      if (!matches(found)) continue;
      controller.abort();
      return found;
    }
  }
  throw new Error("the events ended");
}

const status = (run: string, wanted: RunSummary["status"], step = 0) =>
  event(
    (own) => own.type === "run" && own.summary.run === run && own.summary.status === wanted && own.summary.step >= step,
  );

describe("longhand studio", { timeout: 120_000 }, () => {
  it("lets in who has the token, and no one else", async () => {
    const page = await fetch(`${address}/?token=${token}`);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain("<title>");
    const [cookie] = page.headers.getSetCookie();
    expect(cookie).toMatch(/^longhand-studio-\d+=[\w-]+; HttpOnly; SameSite=Strict; Path=\/$/);
    const asked = (headers: Record<string, string>, path = "/api/runs") =>
      fetch(address + path, { headers }).then((answer) => answer.status);
    expect(await asked({ cookie: cookie.split(";")[0] })).toBe(200);
    expect(await asked(own())).toBe(200);
    expect(await asked({})).toBe(401);
    expect(await asked({}, "/")).toBe(401);
    expect(await asked({}, "/?token=wrong")).toBe(401);
    expect(await asked({ ...own(), origin: "http://example.org" })).toBe(403);
    const { port } = new URL(address);
    const options = { port, path: "/api/runs", headers: { ...own(), host: `studio.example.org:${port}` } };
    const rebound = await new Promise((resolve) => request(options, ({ statusCode }) => resolve(statusCode)).end());
    expect(rebound).toBe(403);
  });

  it("starts a training, stops it as Ctrl-C does, and resumes it to its end", async () => {
    const settings = {
      ...{ data: text, out: "first", preset: "nano", context: 64, batch: 2, vocab: 300, chunk: 16, threads: 1 },
      ...{ steps: 100_000, warmup: 0, seed: 3, sample: "Call me 'Ishmael'" },
    };
    const { line } = await post<CommandLine>("/api/command", { settings });
    const training = await post<Training>("/api/trainings", { settings });
    expect(training).toMatchObject({ run: "first", running: true, command: line });
    expect(line).toContain(`--sample 'Call me '\\''Ishmael'\\'''`);
    expect(line).toContain(`--out ${join(runs, "first")}`);
    await status("first", "running", 3);
    expect(await post("/api/stop", { run: "first" })).toEqual({ run: "first", asked: 1 });
    await status("first", "stopped", 3);
    const ended = (await event((own) => own.type === "training" && !own.training.running)) as { training: Training };
    expect(ended.training).toMatchObject({ id: training.id, exitCode: 0 });
    const { text: output } = await get<{ text: string }>(`/api/output?training=${training.id}`);
    expect(output).toMatch(/stopped at step \d+, saved: go on with {2}longhand train --resume/);
    const { step } = jsonLines(readFileSync(join(runs, "first", "metrics.jsonl"), "utf8")).at(-1) as { step: number };
    const resumed = await post<Training>("/api/trainings", { resume: "first", settings: { steps: step + 3 } });
    expect(resumed.command).toBe(`longhand train --resume ${join(runs, "first")} --steps ${step + 3}`);
    await status("first", "finished", step + 3);
  });

  it("ends cleanly when it is told to, and leaves its trainings alone", async () => {
    const settings = { data: text, out: "second", context: 64, batch: 2, vocab: 300, chunk: 16, threads: 1 };
    const { pid } = await post<Training>("/api/trainings", { settings: { ...settings, steps: 100_000 } });
    await status("second", "running", 1);
    studio.child.kill("SIGTERM");
    expect(await studio.ended).toMatchObject({ status: 0, signal: null });
    expect(studio.output().stderr).toMatch(/stopping; trainings go on/);
    process.kill(pid, "SIGINT"); // it is there to be stopped
    const lock = join(runs, "second", ".lock");
    while (existsSync(lock)) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(existsSync(join(runs, "second", "checkpoints"))).toBe(true);
    expect(existsSync(join(root, "runs", "second"))).toBe(false);
  });
});
