/** `longhand eval` and `longhand generate` on a model that has learnt something. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fail, jsonLines, longhand, start, succeed, tiny, treeOf, workspace } from "./command.ts";

const { folder, text } = workspace();
const content = readFileSync(text, "utf8");
const run = join(folder, "run");

beforeAll(async () => {
  await succeed(["train", "--data", text, "--out", run, ...tiny, "--steps", "40", "--lr", "0.01"]);
}, 60_000);

interface PositionLoss {
  from: number;
  to: number;
  loss: number;
  perplexity: number;
  tokens: number;
}

async function evaluate(data: string, ...more: string[]) {
  const { stdout } = await succeed(["eval", run, "--data", data, "--json", ...more]);
  const lines = jsonLines(stdout);
  expect(lines).toHaveLength(1);
  return lines[0] as unknown as Record<string, number> & { byPosition: PositionLoss[] };
}

describe("longhand eval", { timeout: 60_000 }, () => {
  // Shorter than a chunk, no multiple of one, the training context, beyond it, beyond the whole text.
  it.each([7, 50, 64, 200, 100_000])("measures at a context of %i", async (context) => {
    const result = await evaluate(text, "--context", String(context));
    const { loss, perplexity, wordPerplexity, bitsPerByte, tokens, words, bytes, byPosition } = result;
    expect(result.context).toBe(context);
    expect(bytes).toBe(Buffer.byteLength(content));
    expect(words).toBe(content.trim().split(/\s+/).length);
    expect(loss).toBeGreaterThan(1);
    if (context <= 200) expect(loss).toBeLessThan(Math.log(300)); // better than knowing nothing
    expect(perplexity).toBeCloseTo(Math.exp(loss), 6);
    expect(bitsPerByte).toBeCloseTo((loss * tokens) / Math.LN2 / bytes, 6);
    expect(Math.log(wordPerplexity)).toBeCloseTo((loss * tokens) / words, 6);
    expect(byPosition.reduce((sum, part) => sum + part.tokens, 0)).toBe(tokens);
    expect(byPosition.reduce((sum, part) => sum + part.tokens * part.loss, 0) / tokens).toBeCloseTo(loss, 6);
    expect(byPosition[0]).toMatchObject({ from: 0, to: 1 });
    expect(byPosition.at(-1)?.to).toBe(Math.min(context, tokens));
    for (const [i, { from }] of byPosition.entries()) if (i > 0) expect(from).toBe(byPosition[i - 1].to);
  });

  it("takes the training context without --context, and says the same again", async () => {
    const result = await evaluate(text);
    expect(result.context).toBe(64);
    expect(await evaluate(text)).toEqual(result);
  });

  it("predicts every token of a text of one character", async () => {
    const one = join(folder, "one.txt");
    writeFileSync(one, "a");
    expect(await evaluate(one)).toMatchObject({ tokens: 2, words: 1, bytes: 1 }); // the end of the text counts
  });

  it("reads windows that overlap with --stride", async () => {
    const overlapping = await evaluate(text, "--stride", "16");
    const apart = await evaluate(text);
    expect(overlapping.tokens).toBe(apart.tokens);
    expect(overlapping.loss).not.toBe(apart.loss);
    const late = overlapping.byPosition.at(-1) as PositionLoss; // positions 32 to 63: nearly all tokens are predicted there
    expect(late.tokens).toBeGreaterThan(0.9 * apart.tokens);
    await fail(
      ["eval", run, "--data", text, "--stride", "65"],
      2,
      /^longhand: --stride 65: expected at most the context of 64/,
    );
  });

  it("counts right answers with --choices, and names a line that is no question", async () => {
    const questions = join(folder, "questions.jsonl");
    const [context, target] = [content.slice(0, 40), content.slice(40, 52)];
    const lines = [
      { context, choices: ["zqxj", target], answer: target },
      { context, choices: ["zqxj", target], answer: 0 },
    ];
    writeFileSync(questions, `${lines.map((line) => JSON.stringify(line)).join("\n")}\n{"context": "a"}\n`);
    const place = `${questions}, line 3: target is missing`.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    await fail(["eval", run, "--choices", questions], 1, new RegExp(`^longhand: ${place}`));
    writeFileSync(questions, lines.map((line) => JSON.stringify(line)).join("\n"));
    const { stdout } = await succeed(["eval", run, "--choices", questions, "--json"]);
    expect(jsonLines(stdout)).toEqual([
      expect.objectContaining({ questions: 2, accuracy: 0.5, accuracyPerByte: 0.5, chance: 0.5 }),
    ]);
    await fail(
      ["eval", run, "--choices", questions, "--whole"],
      2,
      /^longhand: --whole cannot be combined with --choices/,
    );
  });

  it("prints a table without --json, and leaves the run as it was", async () => {
    const before = treeOf(run);
    const { stdout, stderr } = await succeed(["eval", run, "--data", text]);
    expect(stdout).toMatch(/^loss \d\.\d{4} nats a token over \d+ tokens, context 64\nperplexity /);
    expect(stdout).toMatch(/\n {2}32–63 +\d+\.\d\d +\d+\n$/);
    expect(stderr).toMatch(/^eval \d+\/100 %/);
    expect(treeOf(run)).toEqual(before);
  });
});

async function generate(prompt: string, ...more: string[]) {
  const { stdout } = await succeed(["generate", run, prompt, "--json", ...more]);
  const lines = jsonLines(stdout);
  expect(lines).toHaveLength(1);
  return lines[0] as { prompt: string; text: string; tokens: number; tokensPerSecond: number; stopReason: string };
}

describe("longhand generate", { timeout: 60_000 }, () => {
  const few = ["--tokens", "40"];

  it("writes the same text twice from one seed, streamed or as JSON, and another from another", async () => {
    const first = await generate("It was", ...few, "--seed", "3");
    expect(first).toMatchObject({ prompt: "It was", tokens: 40, stopReason: "length" });
    expect(first.tokensPerSecond).toBeGreaterThan(0);
    const { stdout, stderr } = await succeed(["generate", run, "It was", ...few, "--seed", "3"]);
    expect(stdout).toBe(`It was${first.text}\n`);
    expect(stderr).toMatch(/^40 tokens, \d+ tokens\/s\n$/);
    expect((await generate("It was", ...few, "--seed", "4")).text).not.toBe(first.text);
  });

  it("takes the likeliest token at --temperature 0, whatever the seed", async () => {
    const [a, b, one] = await Promise.all([
      generate("The whale", ...few, "--temperature", "0", "--seed", "1"),
      generate("The whale", ...few, "--temperature", "0", "--seed", "2"),
      generate("The whale", ...few, "--top-k", "1"),
    ]);
    expect(b.text).toBe(a.text);
    expect(one.text).toBe(a.text);
  });

  it("takes every sampling option, with the same text from the same seed", async () => {
    const options = "--top-p 1 --min-p 0.05 --typical-p 0.9 --repetition-penalty 1.2 --repetition-window 20".split(" ");
    const first = await generate("It was", ...few, ...options);
    expect((await generate("It was", ...few, ...options)).text).toBe(first.text);
    expect(first.text).not.toBe((await generate("It was", ...few)).text);
  });

  it("measures the text with --statistics, on stderr or in the JSON line", async () => {
    const options = ["It was", "--tokens", "1100", "--statistics"];
    const { stderr } = await succeed(["generate", run, ...options]);
    expect(stderr).toMatch(
      /^1100 tokens, \d+ tokens\/s\ntokens, repeated 8-grams, .*\n {2}0–999 +\d+\.\d\d %( +\d\.\d{3}){2}\n {2}1000–1099 .*\n$/,
    );
    const { stdout } = await succeed(["generate", run, ...options, "--json"]);
    const [record] = jsonLines(stdout) as { statistics?: { from: number; to: number }[] }[];
    expect(record.statistics).toMatchObject([
      { from: 0, to: 1000 },
      { from: 1000, to: 1100 },
    ]);
    expect(await generate("It was", ...few)).not.toHaveProperty("statistics");
  });

  it("ends before any --stop", async () => {
    const { text } = await generate("The whale", ...few);
    const at = text.indexOf(text.slice(10, 13));
    const stopped = await generate("The whale", ...few, "--stop", "never to be seen", "--stop", text.slice(10, 13));
    expect(stopped).toMatchObject({ text: text.slice(0, at), stopReason: "stop" });
  });

  it("reads a prompt longer than the training context from standard input with -", async () => {
    const prompt = "Call me Ishmael. ".repeat(60);
    const { stdout } = await succeed(["generate", run, "-", "--tokens", "5", "--json"], { input: prompt });
    const [fromInput] = jsonLines(stdout);
    expect(fromInput).toMatchObject({ prompt, tokens: 5 });
    expect((await generate(prompt, "--tokens", "5")).text).toBe(fromInput.text);
    const { stdout: raw } = await succeed(["generate", run, "-", "--tokens", "5"], { input: prompt });
    expect(raw).toBe(`${prompt}${fromInput.text}\n`);
  });

  it("begins a text of its own without a prompt", async () => {
    expect((await generate("", "--tokens", "8")).tokens).toBe(8);
  });

  it("stops at Ctrl-C with what it has written", async () => {
    const { child, ended, saw } = start(["generate", run, "It was", "--tokens", "1000000"], { startsAgain: true });
    await saw(/It was.{20}/s);
    child.kill("SIGINT");
    const { status, stdout, stderr } = await ended;
    expect(status).toBe(0);
    expect(stdout.endsWith("\n")).toBe(true);
    expect(stderr).toMatch(/stopping\n\d+ tokens/);
  });

  it("ends quietly when its reader goes away", async () => {
    const { status, stdout, stderr } = await longhand(["generate", run, "It was", "--tokens", "100000"], {
      through: ["bash", "-o", "pipefail", "-c", '"$@" | head -c 20', "bash"],
    });
    expect([status, stdout.length, stderr]).toEqual([0, expect.any(Number), ""]);
  });
});
