/**
 * Trainings from the studio: their command lines, processes that outlive it, what they wrote, and how they are
 * stopped.
 */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeRun } from "../../../test/support/made-up-run.ts";
import { studioUnderTest } from "../../../test/support/studio-app.ts";
import { trainSettingsSchema } from "../../config/train-settings.ts";
import type { CommandLine, OutputPage, Training, TrainingForm } from "../api.ts";
import { Trainings } from "./processes.ts";

/** Stands for Longhand's command line: tells its words and goes on until it is interrupted, once or twice. */
const script = `
let asked = 0;
process.on("SIGINT", () => {
  console.error("asked " + ++asked);
  if (process.argv.includes("stubborn") ? asked > 1 : true) process.exit(asked === 1 ? 0 : 130);
});
console.error("é " + JSON.stringify(process.argv.slice(1)));
if (process.argv.includes("short")) process.exit(3);
setInterval(() => {}, 1000);
`;
const program = [process.execPath, "-e", script, "--"];
const { folder, outside, ask, answer, parts } = studioUnderTest({ program });

const command = (body: object) => answer<CommandLine>("/api/command", { body });
const start = (settings: object) => answer<Training>("/api/trainings", { body: { settings } });
const list = async () => (await answer<{ trainings: Training[] }>("/api/trainings")).trainings;
const output = (id: string, from = "") => answer<OutputPage>(`/api/output?training=${id}${from}`);

async function until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const ended = (id: string) => until(async () => (await list()).find((own) => own.id === id && !own.running));

it("has a form of every setting, with its flag, its sentence and its default", async () => {
  const { settings, resume, flags } = await answer<TrainingForm>("/api/settings");
  const names = Object.keys(trainSettingsSchema.shape);
  expect(Object.keys(settings.properties ?? {})).toEqual(names);
  expect(flags.evalEvery).toBe("--eval-every");
  for (const [name, field] of Object.entries(settings.properties ?? {})) expect(field.description, name).toMatch(/\.$/);
  expect(settings.properties?.preset).toMatchObject({
    type: "string",
    default: "nano",
    enum: expect.arrayContaining(["tiny"]),
  });
  expect(settings.properties?.steps).toMatchObject({ type: "integer", minimum: 1 });
  expect(Object.keys(resume.properties ?? {})).toContain("cooldown");
});

describe("the command line", () => {
  const runs = (name: string) => join(folder, name);

  it.each([
    [{ data: "book.txt" }, ["--data", "book.txt", "--out", "book"]],
    [{ data: "my book.txt", preset: "nano", steps: 7 }, ["--data", "my book.txt", "--steps", "7", "--out", "my book"]],
    [{ data: ["a.txt", "b.txt"], out: "x/y" }, ["--data", "a.txt", "b.txt", "--out", "x/y"]],
    [{ data: "-odd.txt", out: "odd" }, ["--data=-odd.txt", "--out", "odd"]],
    [{ mix: ["wiki=3", "pg19=1"] }, ["--mix", "wiki=3", "pg19=1", "--out", "wiki+pg19"]],
    [
      { data: "a.txt", freeze: ["embedding", "layers.2"], overwrite: true, carry: false },
      ["--data", "a.txt", "--freeze", "embedding", "--freeze", "layers.2", "--overwrite", "--out", "a"],
    ],
    [
      { data: "a.txt", adapter: { rank: 4, alpha: 8 }, sample: "- I said", tokenizer: "", limit: null },
      ["--data", "a.txt", "--adapter", "rank=4,alpha=8", "--sample=- I said", "--out", "a"],
    ],
  ])("of %j", async (settings, words) => {
    const found = await command({ settings });
    const run = words[words.length - 1];
    expect([...found.words].sort()).toEqual(["longhand", "train", ...words.slice(0, -1), runs(run)].sort());
    expect(found.words.slice(-2)).toEqual(["--out", runs(run)]);
    expect(found.run).toBe(run);
  });

  it("is quoted for a shell", async () => {
    const { line } = await command({ settings: { data: "it's.txt", out: "a" } });
    expect(line).toBe(`longhand train --data 'it'\\''s.txt' --out ${runs("a")}`);
  });

  it("of a run that goes on", async () => {
    makeRun(folder, "old", { taken: 3 });
    const { line, run } = await command({ resume: "old", settings: { steps: 9 } });
    expect([line, run]).toEqual([`longhand train --resume ${runs("old")} --steps 9`, "old"]);
    const copied = await command({ resume: "old", settings: { out: "copy" } });
    expect([copied.line, copied.run]).toEqual([`longhand train --resume ${runs("old")} --out ${runs("copy")}`, "copy"]);
  });

  it.each([
    [{ settings: { data: "a.txt", steps: 0 } }, /^`steps` 0: expected a whole number of at least 1$/],
    [{ settings: { data: "a.txt", stepz: 1 } }, /^unknown field `stepz`$/],
    [{ settings: {} }, /`data` is missing/],
    [{ settings: { data: "-" } }, /has no input/],
    [{ settings: { mix: [{ data: "a", weight: 1 }], out: "a" } }, /^`mix`: expected data=weight/],
    [{ settings: { data: "a.txt", out: "../a" } }, /expected the name of something in the runs folder/],
    [{ settings: { data: "a.txt", out: "/a" } }, /expected the name of something in the runs folder/],
    [{ settings: { data: "a.txt", out: "link/a" } }, /a part of it is a file or a link/],
    [{ resume: "../old" }, /expected the name of something in the runs folder/],
    [{ resume: "old", settings: { data: "a" } }, /^unknown field `data`$/],
    [{ run: "old" }, /^unknown field run$/],
  ])("is refused for %j", async (body, sentence) => {
    if ("settings" in body && "out" in body.settings && body.settings.out === "link/a")
      symlinkSync(outside, runs("link"));
    for (const url of ["/api/command", "/api/trainings"]) {
      const { status, text } = await ask(url, { body });
      expect(status).toBe(400);
      expect(JSON.parse(text).error).toMatch(sentence);
    }
  });
});

describe("a process", () => {
  it("is started, heard and stopped", async () => {
    const training = await start({ data: "book.txt" });
    expect(training).toMatchObject({ run: "book", running: true, pid: expect.any(Number) });
    const { text, next } = await until(async () => {
      const page = await output(training.id);
      return page.text.includes("]") && page;
    });
    expect(text).toBe(`é ["train","--data","book.txt","--out","${join(folder, "book")}"]\n`);
    expect(await output(training.id, "&from=1")).toMatchObject({ from: 1, next });
    expect((await output(training.id, "&from=-3")).text).toBe(text.slice(-3));
    expect(await ask("/api/trainings", { body: { settings: { data: "book.txt" } } })).toMatchObject({ status: 409 });
    expect(await answer("/api/stop", { body: { run: "book" } })).toEqual({ run: "book", asked: 1 });
    expect(await ended(training.id)).toMatchObject({ exitCode: 0, running: false });
    expect(await output(training.id, `&from=${next}`)).toMatchObject({ from: next, text: "asked 1\n" });
    expect(await ask("/api/stop", { body: { run: "book" } })).toMatchObject({ status: 409 });
  });

  it("that does not stop is asked once more", async () => {
    const { id } = await start({ data: "stubborn", out: "stubborn" });
    await until(async () => (await output(id)).text.includes("]"));
    expect(await answer("/api/stop", { body: { run: "stubborn" } })).toMatchObject({ asked: 1 });
    await until(async () => (await output(id)).text.includes("asked 1"));
    expect(await answer("/api/stop", { body: { run: "stubborn" } })).toMatchObject({ asked: 2 });
    expect(await ended(id)).toMatchObject({ exitCode: 130 });
  });

  it("that fails says with which status", async () => {
    const { id } = await start({ data: "short", out: "short" });
    expect(await ended(id)).toMatchObject({ exitCode: 3 });
  });

  it("is found again by a later studio, and stopped by it", async () => {
    const { id, pid } = await start({ data: "book.txt", out: "long" });
    await until(async () => (await output(id)).text.includes("]"));
    const later = new Trainings(folder, program);
    const found = (await later.list()).find((own) => own.id === id);
    expect(found).toMatchObject({ pid, running: true, run: "long" });
    expect(await later.stop("long", undefined)).toBe(1);
    await ended(id);
    // Written by another version, or half: passed over.
    writeFileSync(join(folder, ".studio", "1-2.json"), '{"id":"../../x"}');
    writeFileSync(join(folder, ".studio", "1-3.json"), "{");
    const names = (await new Trainings(folder, program).list()).map((own) => own.run);
    expect(names).toContain("long");
    expect(names).not.toContain(undefined);
  });

  it("leaves nothing but its notes in the runs folder", async () => {
    expect(readdirSync(folder).sort()).toEqual([".studio", "link", "old"]);
    expect(await parts.folder.summaries()).toHaveLength(1);
  });

  it("is unknown by any other name", async () => {
    mkdirSync(join(folder, "a"), { recursive: true });
    for (const id of ["..", "1-2", "%2e%2e%2fold", ""]) {
      const { status } = await ask(`/api/output?training=${id}`);
      expect(status).toBe(404);
    }
  });
});
