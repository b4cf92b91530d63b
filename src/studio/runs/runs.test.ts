/**
 * What the studio says of runs: lists, metrics as they grow, columns, differences, and never anything outside of its
 * folder.
 */
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { lineOf, makeRun, metricsOf, trainRecord } from "../../../test/support/made-up-run.ts";
import { studioUnderTest } from "../../../test/support/studio-app.ts";
import { acquireRunLock } from "../../checkpoint/run-lock.node.ts";
import type { Differences, MetricsPage, Report, RunDetails, RunSummary, StudioEvent } from "../api.ts";
import { decodeColumns } from "../columns.ts";

const { folder, outside, parts, ask, answer } = studioUnderTest();

beforeAll(() => {
  makeRun(folder, "whole", { taken: 300, finished: true });
  makeRun(folder, "half", { taken: 150, steps: 1000, model: { width: 64, memory: "sum" } });
  makeRun(folder, "compare/models/inner", { taken: 5 });
  const damaged = makeRun(folder, "damaged", { taken: 3 });
  writeFileSync(join(damaged, "config.json"), '{"format":"longhand-run","version":1,"data":{}}');
  mkdirSync(join(folder, "export"));
  writeFileSync(join(folder, "export", "config.json"), '{"format":"longhand-export"}');
});

const runs = async () => (await answer<{ runs: RunSummary[] }>("/api/runs")).runs;
const named = async (run: string) => (await runs()).find((own) => own.run === run);

describe("the list", () => {
  it("has every run at any depth, with its newest numbers", async () => {
    expect((await runs()).map(({ run }) => run).sort()).toEqual(["compare/models/inner", "damaged", "half", "whole"]);
    expect(await named("whole")).toMatchObject({
      ...{ status: "finished", step: 300, steps: 300, checkpoint: 300, architecture: "flash", width: 128, context: 64 },
      ...{ tokens: 128 * 300, seconds: 75, loss: trainRecord(300).loss, data: "/texts/book.txt" },
      evaluation: { step: 300 },
    });
    expect(await named("half")).toMatchObject({ status: "stopped", step: 150, evaluation: { step: 100 } });
    const damaged = await named("damaged");
    expect(damaged).toMatchObject({
      status: "damaged",
      step: 3,
      problem: expect.stringMatching(/config\.json: .*missing/),
    });
  });

  it("knows who trains there", async () => {
    const lock = await acquireRunLock(join(folder, "half"));
    expect(await named("half")).toMatchObject({ status: "running", process: { pid: process.pid, here: true } });
    if (process.platform === "linux") expect((await named("half"))?.process?.memoryBytes).toBeGreaterThan(1e6);
    lock.release();
    writeFileSync(join(folder, "half", ".lock"), JSON.stringify({ pid: 1, host: "another-machine", token: "a" }));
    expect(await named("half")).toMatchObject({ status: "running", process: { host: "another-machine", here: false } });
    expect(await ask("/api/stop", { body: { run: "half" } })).toMatchObject({ status: 409 });
    rmSync(join(folder, "half", ".lock"));
    expect(await named("half")).toMatchObject({ status: "stopped" });
  });

  it("finds an evaluation that lies far behind", async () => {
    const run = makeRun(folder, "rare", { taken: 100 });
    for (let step = 101; step <= 900; step++) appendFileSync(join(run, "metrics.jsonl"), lineOf(trainRecord(step)));
    expect(await named("rare")).toMatchObject({ step: 900, evaluation: { step: 100 } });
    rmSync(run, { recursive: true });
    expect(await named("rare")).toBeUndefined();
  });
});

describe("metrics", () => {
  const page = (run: string, more = "") => answer<MetricsPage>(`/api/metrics?run=${encodeURIComponent(run)}${more}`);
  const from = ({ next, generation }: MetricsPage) => `&from=${next}&generation=${generation}`;

  it("come a part at a time, without half a line, and then as they are written", async () => {
    const run = makeRun(folder, "long/run", { taken: 9000 });
    const file = join(run, "metrics.jsonl");
    const pages = [await page("long/run")];
    while (pages[pages.length - 1].more) pages.push(await page("long/run", from(pages[pages.length - 1])));
    expect(pages.length).toBeGreaterThan(1);
    const all = pages.flatMap(({ records }) => records);
    expect(all.map(lineOf).join("")).toBe(metricsOf({ taken: 9000 }));
    const last = pages[pages.length - 1];
    const line = lineOf(trainRecord(9001));
    appendFileSync(file, line.slice(0, 50));
    expect(await page("long/run", from(last))).toMatchObject({ records: [], next: last.next, reset: false });
    appendFileSync(file, line.slice(50));
    const grown = await page("long/run", from(last));
    expect(grown).toMatchObject({ from: last.next, reset: false, more: false, records: [{ step: 9001 }] });
  });

  it("begin again where a resumed training wrote the file anew", async () => {
    const before = await page("whole");
    const file = join(folder, "whole", "metrics.jsonl");
    writeFileSync(`${file}.new`, metricsOf({ taken: 200 }));
    renameSync(`${file}.new`, file);
    const anew = await page("whole", from(before));
    expect(anew).toMatchObject({ reset: true, from: 0 });
    expect(anew.records).toHaveLength(202);
    expect(await named("whole")).toMatchObject({ step: 200, status: "stopped" });
  });

  it("leave damaged lines out", async () => {
    const run = makeRun(folder, "scarred", { taken: 2 });
    appendFileSync(join(run, "metrics.jsonl"), `not JSON\n"text"\n${lineOf(trainRecord(3))}`);
    expect((await page("scarred")).records.map(({ step }) => step)).toEqual([1, 2, 3]);
  });

  it("are none of a run that has begun nothing", async () => {
    const run = makeRun(folder, "fresh", { taken: 1 });
    rmSync(join(run, "metrics.jsonl"));
    expect(await page("fresh")).toMatchObject({ records: [], next: 0, more: false });
    expect(await named("fresh")).toMatchObject({ step: 0, metricsBytes: 0, status: "stopped" });
  });

  it("come as columns, which grow with the file", async () => {
    const columnsOf = async () => {
      const { bytes, headers } = await ask("/api/columns?run=half");
      expect(headers["content-type"]).toBe("application/octet-stream");
      return decodeColumns(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer);
    };
    const first = await columnsOf();
    expect(Array.from(first.train.step)).toEqual(Array.from({ length: 150 }, (_, i) => i + 1));
    expect(first.train.loss[149]).toBe(Math.fround(trainRecord(150).loss as number));
    expect(first.train.memory[149]).toBe(1e8 + 150);
    expect([first.eval.step[0], first.eval.tokens[0], first.eval.seconds[0]]).toEqual([100, 12_800, 25]);
    const sample = { type: "sample", step: 151, prompt: "Call", text: " me" } as const;
    const { memory: _, ...older } = trainRecord(151);
    const added = lineOf({ ...older, loss: null }) + lineOf(sample);
    appendFileSync(join(folder, "half", "metrics.jsonl"), added);
    const second = await columnsOf();
    expect(second.generation).toBe(first.generation);
    expect(second.next).toBe(first.next + added.length);
    expect([second.train.step[150], second.train.loss[150], second.train.memory[150]]).toEqual([151, NaN, NaN]);
    expect(second.others).toEqual([sample]);
  });
});

it("tells a run in full, and what differs between runs", async () => {
  const { config, files, checkpoints, commands } = await answer<RunDetails>("/api/run?run=half");
  expect(config).toMatchObject({ model: { memory: "sum" }, training: { steps: 1000 } });
  expect(files.map(({ name }) => name)).toEqual(["config.json", "metrics.jsonl"]);
  expect(checkpoints).toEqual([{ step: 150, bytes: 0 }]);
  expect(commands[0]).toEqual({ what: "resume", line: `longhand train --resume ${join(folder, "half")}` });
  const differences = await answer<Differences>("/api/differences?run=whole&run=half");
  expect(differences.fields).toEqual([
    { name: "model.width", values: [128, 64] },
    { name: "training.steps", values: [300, 1000] },
    { name: "model.memory", values: [null, "sum"] },
  ]);
  expect(await answer<Differences>("/api/differences?run=whole")).toMatchObject({ fields: [], runs: ["whole"] });
});

it("tells what changes", async () => {
  const events: StudioEvent[] = [];
  const end = await parts.live.listen((event) => void events.push(event));
  const seen = async (matches: (event: StudioEvent) => boolean) => {
    while (!events.some(matches)) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  expect(events.filter(({ type }) => type === "run")).toHaveLength((await runs()).length);
  expect(events.at(-1)).toEqual({ type: "ready" });
  events.length = 0;
  const run = makeRun(folder, "new/one", { taken: 1 });
  await seen((event) => event.type === "run" && event.summary.run === "new/one");
  appendFileSync(join(run, "metrics.jsonl"), lineOf(trainRecord(2)));
  await seen((event) => event.type === "run" && event.summary.run === "new/one" && event.summary.step === 2);
  rmSync(run, { recursive: true });
  await seen((event) => event.type === "removed" && event.run === "new/one");
  expect(
    events.every((event) => event.type === "removed" || (event.type === "run" && event.summary.run === "new/one")),
  ).toBe(true);
  end();
});

describe("nothing outside of the folder", () => {
  beforeAll(() => {
    makeRun(outside, "secret", { taken: 3 });
    writeFileSync(join(outside, "secret.svg"), "<svg/>");
    symlinkSync(join(outside, "secret"), join(folder, "linked"));
    mkdirSync(join(folder, "around"));
    symlinkSync(outside, join(folder, "around", "up"));
  });

  it.each([
    ...["../secret", "..", ".", "", "/etc", "whole/../../secret", "whole//x", "./whole", "whole/", ".studio"],
    ...["..%2fsecret", "%2e%2e/secret", "whole\0", "..\\secret", "C:\\x", "linked", "around/up/secret"],
    "a".repeat(3000),
  ])("is shown, stopped or used by the name %j", async (run) => {
    const query = encodeURIComponent(run);
    for (const url of [`/api/run?run=${query}`, `/api/metrics?run=${query}`, `/api/columns?run=${query}`]) {
      const { status, text } = await ask(url);
      expect([400, 404], `${url} ${text}`).toContain(status);
    }
    for (const path of ["/api/stop", "/api/model"])
      expect([400, 404, 409]).toContain((await ask(path, { body: { run } })).status);
    const settings = { data: "x.txt", out: run };
    if (run !== "" && run !== "%2e%2e/secret" && run !== "..%2fsecret")
      expect((await ask("/api/command", { body: { settings } })).status).toBe(400);
  });

  it("is listed by way of a link", async () => {
    expect((await runs()).map(({ run }) => run).filter((run) => /secret|linked|around/.test(run))).toEqual([]);
  });

  it("is served as a file of a report", async () => {
    mkdirSync(join(folder, "report"));
    writeFileSync(join(folder, "report", "reproduce.json"), "{}");
    expect((await answer<{ reports: Report[] }>("/api/reports")).reports).toEqual([]);
    writeFileSync(join(folder, "report", "report.html"), "<title>All models</title><script>alert(1)</script>");
    writeFileSync(join(folder, "report", "time.svg"), "<svg xmlns='http://www.w3.org/2000/svg'/>");
    symlinkSync(join(outside, "secret.svg"), join(folder, "report", "stolen.svg"));
    const [report] = (await answer<{ reports: Report[] }>("/api/reports")).reports;
    expect(report).toMatchObject({ report: "report", title: "All models", url: "/reports/report/report.html" });
    expect(report.files.map(({ name }) => name)).toEqual(["reproduce.json", "time.svg"]);
    const page = await ask(report.url);
    expect(page).toMatchObject({ status: 200, text: expect.stringContaining("All models") });
    expect(page.headers["content-security-policy"]).toMatch(/^sandbox; default-src 'none'; .*frame-ancestors 'self'$/);
    expect(page.headers["x-frame-options"]).toBe("SAMEORIGIN");
    expect((await ask("/reports/report/time.svg")).headers["content-type"]).toMatch(/^image\/svg\+xml/);
    for (const name of [
      ...[
        "report/stolen.svg",
        "report/../../secret.svg",
        "report/%2e%2e/%2e%2e/secret.svg",
        "report%2f..%2f..%2fsecret.svg",
      ],
      ...["half/config.json", "report/other.html", "report/time.svg%00.html", "linked/config.json", "report/", ""],
    ])
      expect([400, 404], name).toContain((await ask(`/reports/${name}`)).status);
  });
});
