/** longhand export */
import type { Command } from "commander";
import { type ExportSettings, exportSettingsSchema } from "../../config/export-settings.ts";
import type { FormatMeasure } from "../../run/export/compare.ts";
import { type ExportResult, exportModel } from "../../run/export/export.ts";
import { byteCount } from "../amounts.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";
import { openProgress } from "../progress.ts";

type ExportFlags = ExportSettings & { readonly json?: boolean };

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Writes a model as a folder for other programs: weights as safetensors, tokenizer.json, config.json, a PyTorch module in one " +
        "file and a README. Adapters are merged. Longhand itself uses the folder like a run.",
    )
    .argument("<model>", "run folder or export")
    .addHelpText("after", "\nExample:\n  longhand export runs/book --out book --weights int8")
    .action((model: string, flags: ExportFlags) => runExport(model, flags, streams));
  addFlags(command, exportSettingsSchema);
  command.option("--json", "The result as one JSON line on stdout.");
}

async function runExport(model: string, flags: ExportFlags, streams: Streams): Promise<void> {
  const { json, ...settings } = flags;
  const progress = openProgress("export");
  const onWarning = (message: string) => progress.note(`warning: ${message}`);
  const onProgress = (done: number) => progress.update(Math.round(done * 100), 100, "%");
  const result = await exportModel(model, { ...settings, onWarning, onProgress }).finally(() => progress.end());
  if (json) printJson(streams, result);
  else streams.out.write(textOf(result));
}

function textOf({ out, step, files, formats }: ExportResult): string {
  const rows = Object.entries(files).map(([name, bytes]) => `  ${name.padEnd(24)}${byteCount(bytes).padStart(10)}\n`);
  return `${out}: the model of step ${step}\n${rows.join("")}${formats ? table(formats) : ""}`;
}

function table(formats: readonly FormatMeasure[]): string {
  const [{ loss: whole }] = formats;
  const rows = formats.map(({ weights, bytes, loss, perplexity, tokensPerSecond }) => {
    const more = loss - whole;
    const difference = `${more < 0 ? "−" : "+"}${Math.abs(more).toFixed(5)}`;
    const cells = [byteCount(bytes), perplexity.toFixed(3), difference, tokensPerSecond?.toFixed(0) ?? "-"];
    return `  ${weights.padEnd(10)}${cells.map((cell) => cell.padStart(12)).join("")}\n`;
  });
  return `weights, size, perplexity, nats a token more than float32, tokens/s of the graph of one token\n${rows.join("")}`;
}
