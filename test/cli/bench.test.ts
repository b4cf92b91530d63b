/** `longhand bench`: the table, the same as JSON, a stop in the middle, and what it refuses. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { presetNames } from "../../src/models/presets.ts";
import { TOKENS_PER_PARAMETER } from "../../src/run/bench/estimate.ts";
import { fail, jsonLines, start, succeed } from "./command.ts";

const positive = z.number().positive();
const presetSchema = z.strictObject({
  preset: z.enum(presetNames as [string, ...string[]]),
  ...{ parameters: positive, flopsPerToken: positive, tokensPerSecond: positive, efficiency: positive },
  steps: z.number().int().min(0),
  ...{ memoryBytes: positive, fits: z.boolean() },
  ...{ tokens: positive, days: positive, wattHours: positive.nullable() },
  ...{ decodingPerSecond: positive.nullable(), decodingSteps: z.number().int().min(0) },
});
const resultSchema = z.strictObject({
  ...{ longhand: z.string(), node: z.string(), onnxruntime: z.string(), platform: z.string() },
  processors: z.strictObject({ name: z.string().min(1), available: positive.int(), all: positive.int() }),
  ...{ device: z.literal("cpu"), threads: positive.int() },
  products: z.array(z.strictObject({ device: z.literal("cpu"), threads: positive.int(), flops: positive })),
  ...{ watts: positive.nullable(), wattsMissing: z.string().nullable(), availableBytes: positive },
  ...{ model: z.string(), context: positive.int(), batch: positive.int(), vocabSize: positive.int() },
  finished: z.boolean(),
  presets: z.array(presetSchema),
  report: z.string(),
});
const small = ["--context", "64", "--batch", "1", "--threads", "1", "--device", "cpu"];
const resultOf = (stdout: string) => {
  const lines = jsonLines(stdout);
  expect(lines).toHaveLength(1);
  return resultSchema.parse(lines[0]);
};

describe("longhand bench", { timeout: 120_000 }, () => {
  it("measures what fits into the time and estimates the rest", async () => {
    const { stdout } = await succeed(["bench", "--preset", "large", "nano", "--seconds", "20", ...small, "--json"]);
    const { presets, products, threads, report, finished, ...result } = resultOf(stdout);
    expect(result).toMatchObject({ model: "flash", context: 64, batch: 1 });
    expect([threads, products.map(({ threads }) => threads), finished]).toEqual([1, [1], true]);
    const [{ flops }] = products;
    const [nano, large] = presets;
    expect(presets.map(({ preset }) => preset)).toEqual(["nano", "large"]);
    expect([nano.steps > 0, nano.decodingSteps > 0, nano.fits]).toEqual([true, true, true]);
    expect([large.steps, large.decodingSteps]).toEqual([0, 0]);
    for (const { parameters, tokens, days, tokensPerSecond, efficiency, flopsPerToken } of presets) {
      expect(tokens).toBe(TOKENS_PER_PARAMETER * parameters);
      expect(days).toBeCloseTo(tokens / tokensPerSecond / 86_400, 6);
      expect(efficiency).toBeCloseTo((tokensPerSecond * flopsPerToken) / flops, 6);
    }
    expect(large.efficiency).toBeCloseTo(nano.efficiency, 6);
    expect(large.memoryBytes).toBeGreaterThan(nano.memoryBytes);
    expect(large.decodingPerSecond).toBeLessThan(nano.decodingPerSecond as number);
    expect(report).toMatch(
      /^longhand \S+, node v\S+, onnxruntime \S+, .*; .+, 1 thread, cpu; flash, context 64, batch 1: nano [\d,.]+, large ~[\d,.]+ tokens\/s$/,
    );
  });

  it("prints a table that ends with a line to paste", async () => {
    const { stdout } = await succeed(["bench", "--preset", "nano", "--seconds", "10", ...small]);
    const lines = stdout.trimEnd().split("\n");
    for (const name of ["processors", "products", "memory", "power", "training"]) {
      expect(
        lines.some((line) => line.startsWith(`${name} `)),
        name,
      ).toBe(true);
    }
    expect(stdout).toMatch(/^products +[\d,.]+ GFLOP\/s with 1 thread$/m);
    expect(stdout).toMatch(/^preset +parameters +trains +of products +writes +memory +tokens to learn +days( +Wh)?$/m);
    expect(stdout).toMatch(/^nano +[\d.]+ M +[\d,.]+\/s +\d+ % +[\d,.]+\/s +\d+ MB +[\d.]+ M +[\d.]+( +[\d,]+)?$/m);
    expect(lines.at(-1)).toMatch(/^longhand .*: nano [\d,.]+ tokens\/s$/);
  });

  it("estimates a size that does not fit into memory, and says so", async () => {
    const env = { LONGHAND_MEMORY_LIMIT: "300MB" };
    const { stdout } = await succeed(
      ["bench", "--preset", "nano", "tiny", "--seconds", "10", ...small, "--context", "1024"],
      { env },
    );
    expect(stdout).toMatch(/^tiny .* ! \d+ MB /m);
    expect(stdout).toMatch(/^! more than is available: a smaller --batch or --context needs less$/m);
  });

  it("ends with what it has after Ctrl-C", async () => {
    const running = start(["bench", "--preset", "nano", "tiny", "--seconds", "600", ...small, "--json"]);
    await running.saw(/matrix products/);
    running.child.kill("SIGINT");
    const { status, stdout, stderr } = await running.ended;
    expect([status, stderr]).toEqual([0, expect.stringContaining("stopping after this step")]);
    const { finished, presets } = resultOf(stdout);
    expect([finished, presets.length]).toEqual([false, 2]);
  });

  it.each<[string, RegExp]>([
    ["--preset nona", /--preset(\.0)? "nona": expected one of nano, .* \(did you mean nano\?\)$/],
    ["--model flsh", /--model "flsh": expected one of flash, .*did you mean flash\?/],
    ["--context 0", /--context 0: expected a whole number of at least 1$/],
    ["--batch 1.5", /--batch 1\.5: expected a whole number of at least 1$/],
    ["--seconds 0", /--seconds 0: expected more than 0$/],
    ["--seconds long", /--seconds "long": expected a number$/],
    ["--threads 0", /--threads 0: expected a whole number of at least 1$/],
    ["--device gpu", /--device "gpu": expected one of auto, cpu, /],
    ["nano", /too many arguments for 'bench'/],
  ])("refuses %s", async (args, sentence) => {
    await fail(["bench", ...args.split(" ")], 2, sentence);
  });
});
