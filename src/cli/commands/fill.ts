/** longhand fill */
import type { Command } from "commander";
import {
  type FillOptions,
  fillSettingsSchema,
  type LoadSettings,
  loadSettingsSchema,
} from "../../config/use-settings.ts";
import { loadModel } from "../../run/use/model.ts";
import { fill } from "../../use/fill.ts";
import { readStandardInput } from "../input.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";

type FillFlags = FillOptions & LoadSettings & { readonly json?: boolean };

export function define(command: Command, streams: Streams): void {
  command
    .description("Fills every [MASK] of a text with the model of a run that was trained with --objective masked.")
    .argument("<run>", "run folder or export")
    .argument("<text>", "the text, with [MASK] where one token is missing; - reads it from stdin")
    .addHelpText("after", '\nExample:\n  longhand fill runs/book "It was a [MASK] night." --top-k 3')
    .action((run: string, text: string, flags: FillFlags) => runFill(run, text, flags, streams));
  addFlags(command, fillSettingsSchema, loadSettingsSchema);
  command.option("--json", "The result as one JSON line on stdout.");
}

async function runFill(run: string, given: string, flags: FillFlags, streams: Streams): Promise<void> {
  const { json, threads, device, adapter, ...settings } = flags;
  const text = given === "-" ? await readStandardInput("text") : given;
  const onWarning = (message: string) => void streams.err.write(`warning: ${message}\n`);
  const model = await loadModel(run, { threads, device, adapter, onWarning });
  try {
    const result = await fill(model, text, settings);
    if (json) return printJson(streams, result);
    const rows = result.blanks.flatMap((candidates, i) =>
      candidates.map(({ text, probability }) => {
        const percent = `${(100 * probability).toFixed(1)} %`;
        return `  ${String(i + 1).padStart(3)}  ${percent.padStart(7)}  ${JSON.stringify(text)}`;
      }),
    );
    streams.out.write(`${result.text}\nblank, probability, token\n${rows.join("\n")}\n`);
  } finally {
    await model.close();
  }
}
