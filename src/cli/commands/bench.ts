/** longhand bench */
import type { Command } from "commander";
import { type BenchSettingsInput, benchSettingsSchema } from "../../config/bench-settings.ts";
import type { BenchResult } from "../../run/bench/bench.ts";
import type { BenchPreset } from "../../run/bench/estimate.ts";
import { byteCount, count } from "../amounts.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";
import { openProgress } from "../progress.ts";
import { stopSignal } from "../signals.ts";

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Measures this machine: its rate of plain matrix products, and for every size of a model how fast it trains " +
        "and writes, the memory that it needs, and days and energy of a training on 20 tokens a parameter. Run " +
        "nothing else meanwhile.",
    )
    .addHelpText("after", "\nExamples:\n  longhand bench\n  longhand bench --preset small base --seconds 300")
    .action((flags: Record<string, unknown>) => runBench(flags, streams));
  addFlags(command, benchSettingsSchema);
  command.option("--json", "The result as one JSON line on stdout.");
}

async function runBench({ json, ...flags }: Record<string, unknown>, streams: Streams): Promise<void> {
  const { bench } = await import("../../run/bench/bench.ts"); // with the runtime, which help does without
  const stop = stopSignal("stopping after this step, and estimating the rest; once more to stop at once");
  const progress = openProgress("bench");
  try {
    const onProgress = (what: string, done: number) => progress.update(Math.round(100 * done), 100, `% ${what}`);
    const result = await bench(flags as BenchSettingsInput, { onProgress, signal: stop.signal });
    progress.end();
    if (json === true) printJson(streams, { ...result, report: reportLine(result) });
    else streams.out.write(described(result));
  } finally {
    progress.end();
    stop.release();
  }
}

function described(result: BenchResult): string {
  const { processors, threads, products, availableBytes, watts, wattsMissing, presets } = result;
  const { model, context, batch, vocabSize } = result;
  const rates = products.map(({ device, threads, flops }) => {
    const where = device === "cpu" ? `with ${threadCount(threads)}` : `on ${device}`;
    return `${significant(flops / 1e9)} GFLOP/s ${where}`;
  });
  const facts = [
    ["processors", `${processors.name}, ${processors.available} of ${processors.all}`],
    ["products", rates.join(", ")],
    ["memory", `${byteCount(availableBytes)} available`],
    ["power", watts === null ? `not told: ${wattsMissing ?? "nothing was measured"}` : `${significant(watts)} W`],
    ["training", `${model}, context ${context}, batch ${batch}, vocabulary ${vocabSize}, ${threadCount(threads)}`],
  ];
  const [alone, together = alone] = products;
  const notes = [
    ...(together.device === "cpu" && together.flops < alone.flops
      ? [`! ${threadCount(threads)} are no faster than one: something else computes here, or fewer --threads do better`]
      : []),
    ...(presets.some(isEstimated) ? ["~ estimated: not measured in the time or memory that there was"] : []),
    ...(presets.some(({ fits }) => !fits)
      ? ["! more than is available: a smaller --batch or --context needs less"]
      : []),
  ];
  const lines = [
    ...facts.map(([name, value]) => `${name.padEnd(12)}${value}`),
    "",
    ...tableOf(presets, watts !== null),
    ...notes,
    "",
    reportLine(result),
  ];
  return `${lines.join("\n")}\n`;
}

const isEstimated = ({ steps, decodingSteps }: BenchPreset) => steps === 0 || decodingSteps === 0;

function tableOf(presets: readonly BenchPreset[], energy: boolean): string[] {
  const header = ["preset", "parameters", "trains", "of products", "writes", "memory", "tokens to learn", "days"];
  const rows = presets.map((one) => {
    const mark = one.steps === 0 ? "~" : "";
    const writes =
      one.decodingPerSecond === null ? "" : `${one.decodingSteps === 0 ? "~" : ""}${speed(one.decodingPerSecond)}`;
    return [
      one.preset,
      millions(one.parameters),
      mark + speed(one.tokensPerSecond),
      `${mark}${Math.round(100 * one.efficiency)} %`,
      writes,
      `${one.fits ? "" : "! "}${byteCount(one.memoryBytes)}`,
      millions(one.tokens),
      mark + significant(one.days),
      ...(one.wattHours === null ? [] : [mark + count(one.wattHours)]),
    ];
  });
  const all = [energy ? [...header, "Wh"] : header, ...rows];
  const widths = header.map((_, i) => Math.max(...all.map((row) => row[i].length)));
  return all.map(([name, ...cells]) => {
    return `${name.padEnd(widths[0])}${cells.map((cell, i) => `  ${cell.padStart(widths[i + 1] ?? 10)}`).join("")}`;
  });
}

/** What the result comes to, for a report of a problem or a comparison of machines. */
function reportLine({ longhand, node, onnxruntime, processors, threads, device, presets, ...of }: BenchResult): string {
  const speeds = presets.map(({ preset, tokensPerSecond, steps }) => {
    return `${preset} ${steps === 0 ? "~" : ""}${significant(tokensPerSecond)}`;
  });
  const software = `longhand ${longhand}, node ${node}, onnxruntime ${onnxruntime}, ${of.platform}`;
  const machine = `${processors.name}, ${threadCount(threads)}, ${device}`;
  const training = `${of.model}, context ${of.context}, batch ${of.batch}`;
  return `${software}; ${machine}; ${training}: ${speeds.join(", ")} tokens/s`;
}

const threadCount = (threads: number) => `${threads} thread${threads === 1 ? "" : "s"}`;
const speed = (perSecond: number) => `${significant(perSecond)}/s`;
const millions = (value: number) => `${significant(value / 1e6)} M`;

/** Three digits, such as 1,230,000, 12.3 or 0.0123. */
function significant(value: number): string {
  return value.toLocaleString("en-US", { maximumSignificantDigits: 3 });
}
