import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type MetricsRecord, openMetrics, type StepRecord } from "./metrics.ts";

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "longhand-metrics-"));
  path = join(dir, "metrics.jsonl");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const train = (step: number): StepRecord => ({
  type: "train",
  step,
  tokens: step * 4096,
  loss: 9 / step,
  perplexity: Math.exp(9 / step),
  gradientNorm: 0.5,
  learningRate: 1e-3,
  tokensPerSecond: 1234.5,
  seconds: step * 3.3,
  memory: 1e8,
});
const all: MetricsRecord[] = [
  train(1),
  { type: "skip", step: 2, reason: "the gradient is not finite" },
  { type: "eval", step: 2, loss: 4, perplexity: Math.exp(4), tokens: 8192 },
  { type: "checkpoint", step: 2, path: "checkpoints/step-00000002" },
  train(3),
  { type: "finished", step: 3 },
];
const written = (): unknown[] =>
  readFileSync(path, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));

async function writeAll(records: readonly MetricsRecord[], options = {}): Promise<void> {
  const metrics = await openMetrics(dir, options);
  for (const record of records) metrics.record(record);
  metrics.close();
}

describe("metrics", () => {
  it("are one JSON line a record, and scalars for TensorBoard", async () => {
    await writeAll(all);
    expect(written()).toEqual(all);
    const [, events] = readdirSync(dir).sort().reverse();
    expect(events).toMatch(/^events\.out\.tfevents\./);
    const text = readFileSync(join(dir, events), "latin1");
    for (const tag of ["train/loss", "train/learning_rate", "train/tokens_per_second", "eval/perplexity"]) {
      expect(text).toContain(tag);
    }
  });

  it("write numbers that JSON lacks as null", async () => {
    await writeAll([{ type: "eval", step: 1, loss: Number.NaN, perplexity: Number.POSITIVE_INFINITY, tokens: 1 }]);
    expect(written()).toEqual([{ type: "eval", step: 1, loss: null, perplexity: null, tokens: 1 }]);
  });

  it("cut at any byte by a kill are repaired on opening", async () => {
    await writeAll(all.slice(0, 2));
    const bytes = readFileSync(path);
    const first = bytes.indexOf(0x0a) + 1;
    for (let length = 0; length <= bytes.length; length++) {
      writeFileSync(path, bytes);
      truncateSync(path, length);
      const metrics = await openMetrics(dir);
      metrics.close();
      const complete = length === bytes.length ? bytes.length : length >= first ? first : 0;
      expect(readFileSync(path)).toEqual(bytes.subarray(0, complete));
      expect(metrics.damagedLines).toBe(length === complete ? 0 : 1);
    }
  }, 30_000);

  it("lose lines that are no records, wherever they are, and say how many", async () => {
    const good = JSON.stringify(train(1));
    writeFileSync(path, Buffer.concat([Buffer.from(`${good}\n\0\0\0\n{"type":"train"}\n`), Buffer.of(0xff, 0x0a)]));
    appendFileSync(path, `${good}\n`);
    const metrics = await openMetrics(dir);
    metrics.close();
    expect(metrics).toMatchObject({ damagedLines: 3, laterRecords: 0 });
    expect(written()).toEqual([train(1), train(1)]);
  });

  it("of a resumed run continue like those of one that was never interrupted", async () => {
    await writeAll([...all, train(4), train(5)]);
    const metrics = await openMetrics(dir, { resumeStep: 2 });
    expect(metrics).toMatchObject({ damagedLines: 0, laterRecords: 4 });
    for (const record of all.slice(4)) metrics.record(record);
    metrics.close();
    expect(written()).toEqual(all);
    await writeAll([train(4)], { resumeStep: 3 }); // finished, and resumed for more steps
    expect(written()).toEqual([...all.slice(0, 5), train(4)]);
    expect(readdirSync(dir).filter((name) => name.startsWith("."))).toEqual([]);
  });
});
