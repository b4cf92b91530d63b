/** Generation from a loaded model: programs are compiled once, and calls at the same time do not disturb each other. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { generate } from "../../use/generate.ts";
import { train } from "../train/train.ts";
import { type LoadedModel, loadModel } from "./model.ts";

const folder = mkdtempSync(join(tmpdir(), "longhand-generate-"));
let model: LoadedModel;

beforeAll(async () => {
  const data = join(folder, "text.txt");
  writeFileSync(data, Array.from({ length: 600 }, (_, i) => `Line ${i} of ${(i * 7919) % 1009}.\n`).join(""));
  const size = { "model.layers": 1, "model.width": 32, "model.shared": 16 };
  const small = { context: 64, chunk: 16, batch: 2, vocab: 300, steps: 2, threads: 1 };
  await train({ data, out: join(folder, "run"), ...small }, { overrides: size });
  model = await loadModel(join(folder, "run"));
}, 60_000);

afterAll(async () => {
  await model.close();
  rmSync(folder, { recursive: true });
});

/** The whole text. */
async function written(prompt: string, seed: number): Promise<string> {
  let text = "";
  for await (const piece of generate(model, { prompt, seed, tokens: 30 }))
    if (piece.type === "text") text += piece.text;
  return text;
}

it("compiles at the first call and never again", async () => {
  const compile = vi.spyOn(model.engine, "compileResident");
  const first = await written("Line 1", 1);
  const compiled = compile.mock.calls.length;
  expect(compiled).toBeGreaterThan(0);
  expect(await written("Line 1", 1)).toBe(first);
  expect(await written("Line 1", 2)).not.toBe(first);
  expect(compile).toHaveBeenCalledTimes(compiled);
});

it("writes the same in calls at the same time as in turn, and after one that was left early", async () => {
  const calls = [1, 2, 3].map((seed) => ["Line 2".repeat(seed), seed] as const);
  const inTurn: string[] = [];
  for (const [prompt, seed] of calls) inTurn.push(await written(prompt, seed));
  for await (const _ of generate(model, { prompt: "Line 3", tokens: 30 })) break;
  expect(await Promise.all(calls.map(([prompt, seed]) => written(prompt, seed)))).toEqual(inTurn);
});

it("uses a decoder again that was given back, and another while it is in use", async () => {
  const one = await model.decoders.take();
  const other = await model.decoders.take();
  expect(other).not.toBe(one);
  await other.absorb([1, 2, 3]);
  model.decoders.giveBack(other);
  expect(await model.decoders.take()).toBe(other);
  expect(other.position).toBe(0);
  model.decoders.giveBack(other);
  model.decoders.giveBack(one);
});
