/** The way of a text through every Transformer: trained, and continued beyond its training context. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { architectures } from "../../src/models/registry.ts";
import { jsonLines, succeed, workspace } from "./command.ts";

const { folder, text } = workspace();
const small = "--preset nano --set model.layers=1 --set model.width=32 --context 32 --batch 2 --vocab 300 --threads 1";

it.each(
  architectures()
    .filter(({ fields }) => "heads" in fields)
    .map(({ name }) => name),
)("%s learns and writes", { timeout: 60_000 }, async (architecture) => {
  const run = join(folder, architecture);
  const options = [...small.split(" "), "--model", architecture, "--steps", "2"];
  await succeed(["train", "--data", text, "--out", run, ...options]);
  const prompt = "Call me Ishmael. Some years ago, never mind how long precisely.";
  const write = async (seed: string) => {
    const { stdout } = await succeed(["generate", run, prompt, "--tokens", "70", "--seed", seed, "--json"]);
    return jsonLines(stdout)[0];
  };
  const one = await write("1");
  expect(one).toMatchObject({ prompt, tokens: expect.any(Number), stopReason: expect.any(String) });
  expect((await write("1")).text).toBe(one.text);
});
