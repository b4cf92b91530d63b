/** Help, version and the look at the machine. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { processesSettingsSchema } from "../../src/config/processes-settings.ts";
import { trainSettingsSchema } from "../../src/config/train-settings.ts";
import { fail, jsonLines, longhand, root, succeed } from "./command.ts";

describe("longhand --help", { timeout: 60_000 }, () => {
  it.each([
    ["", "train --data book.txt"],
    ["train", "train --resume runs/book"],
    ["eval", "eval runs/book --data other.txt"],
    ["generate", 'generate runs/book "It was"'],
    ["fill", 'fill runs/book "It was a [MASK] night."'],
    ["serve", "serve runs/book --port 8080 --sessions sessions"],
    ["import", "import enwik8.safetensors --set causal=True"],
    ["prepare", "prepare --data hub:wiki40b/en"],
    ["data", "data inspect data/wiki"],
    ["data inspect", "data inspect data/wiki"],
    ["models", "models --preset tiny"],
    ["reproduce", "reproduce --budget 10"],
    ["bench", "bench --preset small base --seconds 300"],
    ["doctor", "doctor"],
  ])("%s has an example", async (name, example) => {
    const { stdout, stderr } = await succeed([...name.split(" ").filter(Boolean), "--help"]);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/\nExamples?:\n/);
    expect(stdout).toContain(`  longhand ${example}`);
    if (name !== "") expect(stdout).toContain("--json");
  });

  it("shows every setting of a training with its default where all are asked for, no wider than a terminal", async () => {
    const { stdout } = await succeed(["train", "--help", "--all"]);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    for (const field of Object.keys(trainSettingsSchema.shape)) {
      expect(stdout).toContain(` --${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} `);
    }
    expect(stdout.replace(/\s+/g, " ")).toContain("--steps <n> Optimiser steps. (default: 500)");
  });

  it("shows a dozen settings of a training first, and says how many more there are", async () => {
    const { stdout } = await succeed(["train", "--help"]);
    const shown = stdout.match(/^ {2}--[a-z-]+/gm) ?? [];
    const own = ["resume", "config", "set", "json"].map((name) => `  --${name}`);
    expect(shown.filter((flag) => !own.includes(flag))).toHaveLength(12);
    const all = [trainSettingsSchema, processesSettingsSchema].flatMap(({ shape }) => Object.keys(shape));
    const more = all.length - 12;
    expect(stdout).toContain(`longhand train --help --all shows ${more} more options.`);
    await fail(["train", "--all"], 2, /^longhand: unknown option '--all'/);
  });

  it("is not needed to begin: the command alone says in three lines what to do, to stderr, as wrong usage", async () => {
    const { status, stdout, stderr } = await longhand([]);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr.split("\n")).toEqual([
      expect.stringMatching(/^longhand train --data book\.txt /),
      expect.stringMatching(/^longhand generate runs\/book /),
      expect.stringMatching(/^longhand --help /),
      "",
    ]);
  });
});

describe("longhand --version", () => {
  it("is that of the package", async () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    expect((await succeed(["--version"], { startsAgain: true })).stdout).toBe(`${version}\n`);
  });
});

/** Prints to stderr the native packages that the process has loaded when it ends. */
const NATIVE = `process.on("exit", () => {
  process.report.excludeNetwork = true;
  const loaded = process.report.getReport().sharedObjects.filter((path) => path.includes("node_modules"));
  process.stderr.write(JSON.stringify(loaded.map((path) => path.split("node_modules").pop())));
});`;
const toldNatives = { env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(NATIVE)}` } };

describe("a command", { timeout: 60_000 }, () => {
  it.each([["--version"], ["--help"], ["doctor --help"], ["bench --help"], ["train --halp"]])(
    "loads what it needs: %s",
    async (line) => {
      const { stderr } = await longhand(line.split(" "), toldNatives);
      const loaded = JSON.parse(stderr.slice(stderr.indexOf("[")));
      if (line.startsWith("train")) expect(loaded.join()).toContain("onnxruntime");
      else expect(loaded).toEqual([]);
    },
  );
});

describe("longhand doctor", { timeout: 60_000 }, () => {
  const names = ["node", "processors", "memory", "huge pages", "engine", "webgpu", "cuda", "mpi", "longhand"];

  it("says how each thing stands, and what to do where it is not well", async () => {
    const { stdout } = await succeed(["doctor"]);
    for (const name of names) expect(stdout).toMatch(new RegExp(`^[✓!–] ${name} `, "m"));
    expect(stdout).toMatch(/^✓ cuda +works$|^– cuda +\S/m); // tried, not only there
    for (const [i, line] of stdout.split("\n").entries()) {
      if (line.startsWith("!")) expect(stdout.split("\n")[i + 1]).toMatch(/^ {2}→ /);
    }
  });

  it("prints a JSON line a finding", async () => {
    const { stdout } = await succeed(["doctor", "--json"], { startsAgain: true });
    const findings = jsonLines(stdout);
    expect(findings.map(({ name }) => name)).toEqual(names);
    expect(findings[4]).toEqual({ name: "engine", value: expect.stringMatching(/^onnxruntime-node \d/) });
  });

  it("says which binding of the runtime is used, and refuses one that is none", async () => {
    const { stdout } = await succeed(["doctor"], { env: { LONGHAND_BINDING: "node" } });
    expect(stdout).toMatch(/^✓ engine .*, binding node \(asked for\)$/m);
    const sentence = /^longhand: LONGHAND_BINDING=wasm: expected c-api or node$/;
    await fail(["doctor"], 2, sentence, { env: { LONGHAND_BINDING: "wasm" } });
  });
});
