/** longhand export */
import type { Command } from "commander";
import { type ExportSettings, exportSettingsSchema } from "../../config/export-settings.ts";
import { type ExportResult, exportModel } from "../../run/export/export.ts";
import { byteCount } from "../amounts.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";

type ExportFlags = ExportSettings & { readonly json?: boolean };

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Writes a model as a folder for other programs: weights as safetensors, tokenizer.json, config.json, a PyTorch module in one " +
        "file and a README. Adapters are merged. Longhand itself uses the folder like a run.",
    )
    .argument("<model>", "run folder or export")
    .addHelpText("after", "\nExample:\n  longhand export runs/book --out book")
    .action((model: string, flags: ExportFlags) => runExport(model, flags, streams));
  addFlags(command, exportSettingsSchema);
  command.option("--json", "The result as one JSON line on stdout.");
}

async function runExport(model: string, flags: ExportFlags, streams: Streams): Promise<void> {
  const { json, ...settings } = flags;
  const onWarning = (message: string) => void streams.err.write(`warning: ${message}\n`);
  const result = await exportModel(model, { ...settings, onWarning });
  if (json) printJson(streams, result);
  else streams.out.write(textOf(result));
}

function textOf({ out, step, files }: ExportResult): string {
  const rows = Object.entries(files).map(([name, bytes]) => `  ${name.padEnd(24)}${byteCount(bytes).padStart(10)}\n`);
  return `${out}: the model of step ${step}\n${rows.join("")}`;
}
