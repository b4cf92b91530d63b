/** Masked language modelling from training to `longhand fill`, and what each objective refuses. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fail, jsonLines, learnt, succeed, tiny, workspace } from "./command.ts";

const { folder, text } = workspace();
const run = join(folder, "masked");
const causal = join(folder, "causal");
const schedule = ["--warmup", "2", "--schedule", "constant"];
const trainInto = (out: string, steps: number, ...more: string[]) =>
  succeed(["train", "--data", text, "--out", out, ...tiny, ...schedule, "--steps", String(steps), ...more]);

beforeAll(async () => {
  const { stderr } = await trainInto(run, 40, "--objective", "masked", "--lr", "0.01");
  expect(stderr).toContain(`try  longhand fill ${run} "… [MASK] …"`);
  await trainInto(causal, 4);
}, 60_000);

describe("longhand train --objective", { timeout: 60_000 }, () => {
  it("is saved, with a model that looks both ways", () => {
    const configOf = (folder: string) => JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
    expect([configOf(run).training.objective, configOf(run).model.causal]).toEqual(["masked", false]);
    expect([configOf(causal).training.objective, configOf(causal).model.causal]).toEqual(["causal", true]);
  });

  it("goes on bit for bit", async () => {
    const masked = ["--objective", "masked", "--accumulate", "2"];
    const [whole, parts] = ["whole", "parts"].map((name) => join(folder, name));
    await Promise.all([trainInto(whole, 8, ...masked), trainInto(parts, 3, ...masked)]);
    await succeed(["train", "--resume", parts, "--steps", "8"]);
    const [a, b] = [learnt(whole, 8), learnt(parts, 8)];
    expect([b.losses, b.model, b.optimizer]).toEqual([a.losses, a.model, a.optimizer]);
    expect(b.evaluations.at(-1)).toEqual(a.evaluations.at(-1));
  });

  it("is causal for a run from before there was a choice", async () => {
    const [whole, old] = ["causal-whole", "causal-old"].map((name) => join(folder, name));
    await Promise.all([trainInto(whole, 8), trainInto(old, 3)]);
    const file = join(old, "config.json");
    const config = JSON.parse(readFileSync(file, "utf8"));
    const { objective, ...training } = config.training;
    writeFileSync(file, JSON.stringify({ ...config, training }));
    await succeed(["train", "--resume", old, "--steps", "8"]);
    const [a, b] = [learnt(whole, 8), learnt(old, 8)];
    expect([objective, b.losses, b.model, b.optimizer]).toEqual(["causal", a.losses, a.model, a.optimizer]);
  });
});

describe("longhand eval of a masked run", { timeout: 60_000 }, () => {
  const evaluate = async (...more: string[]) =>
    jsonLines((await succeed(["eval", run, "--data", text, "--json", ...more])).stdout)[0] as Record<string, number>;

  it.each([[[]], [["--context", "50"]], [["--context", "200"]]])("measures the selected tokens %j", async (context) => {
    const result = await evaluate(...context);
    expect(Object.keys(result)).toEqual(["loss", "perplexity", "accuracy", "tokens", "context", "byPosition"]);
    const { loss, perplexity, accuracy, tokens } = result;
    expect(loss).toBeLessThan(Math.log(300)); // better than knowing nothing
    expect(perplexity).toBeCloseTo(Math.exp(loss), 6);
    expect(accuracy).toBeGreaterThan(1 / 300);
    expect(accuracy).toBeLessThan(1);
    const all = jsonLines((await succeed(["eval", causal, "--data", text, "--json"])).stdout)[0] as { tokens: number };
    expect(tokens / all.tokens).toBeCloseTo(0.15, 2);
    expect(await evaluate(...context)).toEqual(result);
  });

  it("prints a table without --json", async () => {
    const { stdout } = await succeed(["eval", run, "--data", text]);
    expect(stdout).toMatch(/^loss \d\.\d{4} nats a token over \d+ masked tokens, context 64\n/);
    expect(stdout).toMatch(/\nperplexity \d+\.\d\d a token, accuracy \d+\.\d\d %\nposition in the context/);
  });
});

describe("longhand fill", { timeout: 60_000 }, () => {
  interface Filled {
    text: string;
    blanks: { text: string; token: number; probability: number }[][];
  }
  const fill = async (given: string, ...more: string[]) => {
    const { stdout } = await succeed(["fill", run, given, "--json", ...more]);
    expect(jsonLines(stdout)).toHaveLength(1);
    return jsonLines(stdout)[0] as unknown as Filled;
  };
  /** The text with the likeliest tokens put in by hand; a space before a blank is its own. */
  const putIn = (given: string, { blanks }: Filled) => {
    let i = 0;
    return given.replace(/ ?\[MASK\]/g, () => blanks[i++][0].text);
  };

  it("puts the likeliest token in each blank and names others", async () => {
    const given = "[MASK] me [MASK]. Some years ago[MASK]";
    const result = await fill(given, "--top-k", "3");
    expect(result.text).toBe(putIn(given, result));
    expect(result.blanks.map((candidates) => candidates.length)).toEqual([3, 3, 3]);
    for (const candidates of result.blanks) {
      const probabilities = candidates.map(({ probability }) => probability);
      expect(probabilities).toEqual(probabilities.toSorted((a, b) => b - a));
      expect(probabilities.reduce((sum, p) => sum + p, 0)).toBeLessThanOrEqual(1);
    }
    expect(await fill(given, "--top-k", "3")).toEqual(result);
  });

  it("reads a text longer than the context, from standard input", async () => {
    const given = `${"It was a bright [MASK] day. ".repeat(30)}Grüße, [MASK]!\n`;
    const { stdout } = await succeed(["fill", run, "-", "--json"], { input: given });
    const result = jsonLines(stdout)[0] as unknown as Filled;
    expect(result.blanks.map((candidates) => candidates.length)).toEqual(new Array(31).fill(5));
    expect(result.text).toBe(putIn(given, result));
  });

  it("prints the text and a table without --json", async () => {
    const { stdout } = await succeed(["fill", run, "the [MASK]", "--top-k", "2"]);
    expect(stdout).toMatch(/^the.*\nblank, probability, token\n( {4}1 +\d+\.\d % {2}".*"\n){2}$/);
  });
});

describe("the other objective", { timeout: 60_000 }, () => {
  it.concurrent.each([
    ["generate masked hi", /masked: it was trained with the masked objective and fills in blanks: use longhand fill$/],
    ["fill causal a[MASK]", /causal: it was trained with the causal objective and cannot fill in blanks: use longhand/],
    ["fill masked [mask]", /text: expected \[MASK\] at each blank, got "\[mask\]"$/],
    ["fill masked", /missing required argument 'text'$/],
    ["fill masked a[MASK] --top-k 0", /--top-k 0: expected a whole number of at least 1$/],
    ["train --data text.txt --objective maskd", /--objective "maskd": .*did you mean masked\?/],
    ["train --data text.txt --set model.causal=false", /model.causal false: expected true with the causal objective/],
    [
      "train --data text.txt --objective masked --set model.causal=true",
      /model.causal true: expected false with the masked objective/,
    ],
    ["train --resume masked --objective causal", /--objective cannot be combined with --resume/],
  ])("longhand %s", async (line, sentence) => {
    await fail(line.split(" "), 2, sentence, { cwd: folder });
  });
});
