import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { processIdentity } from "./processes.node.ts";
import { createRunFolder, isRunFolder, readConfig, writeConfig } from "./run-folder.node.ts";
import { acquireRunLock } from "./run-lock.node.ts";

let root: string;
let run: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "longhand-run-"));
  run = join(root, "runs", "book");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const same = (fields: unknown) => fields;
const put = (name: string, text: string) => {
  mkdirSync(run, { recursive: true });
  writeFileSync(join(run, name), text);
};

describe("createRunFolder", () => {
  it("makes a folder with its parents, and takes one that is empty or held only a killed start", async () => {
    await createRunFolder(run);
    await createRunFolder(run);
    put(".config.json.tmp-999999999-0123abcd", "{");
    put(".lock", "{}");
    await createRunFolder(run);
    expect(existsSync(run)).toBe(true);
  });

  it("refuses a run that exists, naming the three ways on, and overwrites it when told", async () => {
    await createRunFolder(run);
    await writeConfig(run, { model: "flash" });
    put("metrics.jsonl", "{}");
    await expect(createRunFolder(run)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/^`out` .*book: .* not empty; .*`out`, .*`resume` .*book, .*`overwrite`$/),
    });
    expect(readdirSync(run)).toEqual(["config.json", "metrics.jsonl"]);
    const folder = await createRunFolder(run, { overwrite: true });
    expect(readdirSync(run)).toEqual(["config.json", "metrics.jsonl"]);
    put(".lock", "{}");
    await folder.empty();
    expect(readdirSync(run)).toEqual([".lock", "config.json"]);
  });

  it.each([
    ["notes.txt", "mine"],
    ["config.json", '{ "version": 1, "name": "another program" }'],
    ["config.json", "[]"],
    ["config.json", "{"],
  ])("never overwrites a folder that is not a run: %s %s", async (name, text) => {
    put(name, text);
    expect(await isRunFolder(run)).toBe(false);
    await expect(createRunFolder(run)).rejects.toMatchObject({ code: "usage" });
    await expect(createRunFolder(run, { overwrite: true })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("`overwrite` deletes only run folders"),
    });
    expect(readFileSync(join(run, name), "utf8")).toBe(text);
  });

  it("refuses a file", async () => {
    mkdirSync(join(root, "runs"));
    writeFileSync(run, "");
    for (const path of [run, join(run, "under")]) {
      await expect(createRunFolder(path, { overwrite: true })).rejects.toMatchObject({ code: "usage" });
    }
  });

  it("is undone with the parents it made, and only while they are empty", async () => {
    await (await createRunFolder(run)).undo();
    expect(readdirSync(root)).toEqual([]);
    mkdirSync(join(root, "runs"));
    await (await createRunFolder(run)).undo();
    expect(readdirSync(root)).toEqual(["runs"]);
    mkdirSync(run);
    await (await createRunFolder(run)).undo();
    expect(existsSync(run)).toBe(true);
    rmSync(run, { recursive: true });
    const folder = await createRunFolder(run);
    put("x", "");
    await folder.undo();
    expect(readdirSync(run)).toEqual(["x"]);
  });
});

describe("config.json", () => {
  it("gives back the fields and is recognised", async () => {
    await createRunFolder(run);
    await writeConfig(run, { model: "flash", width: 128 });
    expect(await readConfig(run, same)).toEqual({ model: "flash", width: 128 });
    expect(await isRunFolder(run)).toBe(true);
    expect(readFileSync(join(run, "config.json"), "utf8")).toMatch(
      /^{\n {2}"format": "longhand-run",\n {2}"version": 1,/,
    );
    await expect(writeConfig(run, { version: 3 })).rejects.toThrow("the field version is the file's own");
  });

  it.each<[string, string | undefined, string, string]>([
    ["missing", undefined, "checkpoint", "is not a run folder: it has no config.json"],
    ["no JSON", "{ a", "config", "config.json: it is not valid JSON ("],
    ["no object", "3", "config", "config.json: it must hold a JSON object"],
    ["of another program", '{ "version": 1 }', "checkpoint", "config.json: it was not written by Longhand"],
    [
      "newer",
      '{ "format": "longhand-run", "version": 2 }',
      "config",
      "it has version 2, and this version of Longhand reads 1",
    ],
    [
      "without version",
      '{ "format": "longhand-run" }',
      "config",
      "it has version undefined, and this version of Longhand reads 1",
    ],
    ["no UTF-8", "\xff", "checkpoint", "config.json: it is not UTF-8 text"],
  ])("is refused with one sentence: %s", async (_, text, code, message) => {
    if (text !== undefined) put("config.json", "");
    if (text !== undefined) writeFileSync(join(run, "config.json"), Buffer.from(text, "latin1"));
    await expect(readConfig(run, same)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it("puts the file's name before what the parser says", async () => {
    await createRunFolder(run);
    await writeConfig(run, { width: -1 });
    const parse = () => {
      throw new Error("width: expected 1 or more, got -1");
    };
    await expect(readConfig(run, parse)).rejects.toMatchObject({
      code: "config",
      message: `${join(run, "config.json")}: width: expected 1 or more, got -1`,
    });
  });
});

describe("acquireRunLock", () => {
  beforeEach(() => mkdirSync(run, { recursive: true }));
  const lockOf = (holder: object) =>
    put(".lock", JSON.stringify({ pid: process.pid, host: hostname(), token: "another", ...holder }));

  it("lets one in at a time, and clears what killed writers left", async () => {
    put(".metrics.jsonl.tmp-1-0123abcd", "half");
    const lock = await acquireRunLock(run);
    expect(readdirSync(run)).toEqual([".lock"]);
    await expect(acquireRunLock(run)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining(`process ${process.pid} is training in this folder`),
    });
    lock.release();
    lock.release();
    expect(readdirSync(run)).toEqual([]);
    const next = await acquireRunLock(run);
    lock.release(); // the first one's no longer
    await expect(acquireRunLock(run)).rejects.toMatchObject({ code: "usage" });
    next.release();
  });

  it("takes over from a process that is gone, also when its number is in use again", async () => {
    lockOf({ pid: spawnSync("true").pid });
    (await acquireRunLock(run)).release();
    if (processIdentity(process.pid) === undefined) return; // only Linux tells
    lockOf({ identity: "another boot/1" });
    (await acquireRunLock(run)).release();
    lockOf({ identity: processIdentity(process.pid) });
    await expect(acquireRunLock(run)).rejects.toMatchObject({ code: "usage" });
  });

  it("does not judge other machines or what it cannot read", async () => {
    lockOf({ host: "elsewhere" });
    const message = expect.stringMatching(/on elsewhere is training .* delete .*\.lock$/);
    await expect(acquireRunLock(run)).rejects.toMatchObject({ code: "usage", message });
    put(".lock", "half a li");
    await expect(acquireRunLock(run)).rejects.toThrow("this lock cannot be read; if no training runs there, delete it");
  });

  it("waits for nobody: a killed but uncollected process is gone", async () => {
    // sleep's parent never collects it.
    const parent = execFile("bash", ["-c", "sleep 100 & echo $!; kill -9 $!; exec sleep 100"]);
    const pid = Number(await new Promise((done) => parent.stdout?.once("data", done)));
    await new Promise((done) => setTimeout(done, 100));
    lockOf({ pid });
    (await acquireRunLock(run)).release();
    parent.kill("SIGKILL");
  });

  it("names the folder that does not exist", async () => {
    const missing = join(root, "none");
    await expect(acquireRunLock(missing)).rejects.toMatchObject({
      code: "io",
      message: `cannot write ${join(missing, ".lock")}: its folder does not exist`,
    });
  });
});
