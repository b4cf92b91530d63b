/** A model of FLASH-pytorch from its file to written text and further training, and what is said of a wrong option. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { decodeSafetensors, encodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { fail, jsonLines, root, succeed, workspace } from "./command.ts";

const { folder, text } = workspace();
const fixture = join(root, "test/fixtures/flash-pytorch/causal.safetensors");
const file = join(folder, "state.safetensors");
const out = join(folder, "imported");

beforeAll(() => {
  const { tensors, metadata } = decodeSafetensors(readFileSync(fixture), fixture);
  const { tokens: _, logits: __, ...state } = tensors;
  writeFileSync(file, Buffer.concat(encodeSafetensors(state, metadata)));
});

it("imports a model, writes with it and trains it further", { timeout: 120_000 }, async () => {
  const context = ["--context", "32"];
  const { stdout } = await succeed(["import", file, "--tokenizer", "bytes", ...context, "--out", out]);
  expect(stdout).toMatch(
    /: FLASH, causal, 2 layers of width 16, groups of 16, 259 tokens, [\d,]+ parameters, context 32\n$/,
  );
  const written = await succeed(["generate", out, "It was", "--tokens", "20", "--temperature", "0", "--json"]);
  expect(jsonLines(written.stdout)[0].tokens).toBe(20);
  const few = [...context, "--batch", "2", "--steps", "2", "--threads", "1"];
  await succeed(["train", "--from", out, "--data", text, "--out", join(folder, "tuned"), ...few]);
});

it("names a wrong option", { timeout: 60_000 }, async () => {
  const args = ["import", file, "--tokenizer", "bytes", "--out", join(folder, "other"), "--set"];
  await fail([...args, "group_size=600"], 2, /option group_size: expected less than 512, got 600/);
  await fail([...args, "causl=True"], 2, /option causl: .*did you mean causal/);
});
