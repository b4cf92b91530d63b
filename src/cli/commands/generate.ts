/** longhand generate */
import type { Command } from "commander";
import {
  type GenerateSettings,
  generateSettingsSchema,
  type LoadSettings,
  loadSettingsSchema,
} from "../../config/use-settings.ts";
import type { TextStretch } from "../../generate/text-statistics.ts";
import { loadModel } from "../../run/use/model.ts";
import { generate } from "../../use/generate.ts";
import { readStandardInput } from "../input.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";
import { stopSignal } from "../signals.ts";

type GenerateFlags = GenerateSettings & LoadSettings & { readonly json?: boolean };

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Continues a prompt with the model of a run and streams the text. There is no limit of length, and flash writes in " +
        "constant memory.",
    )
    .argument("<run>", "run folder or export")
    .argument("[prompt]", "what the text begins with; - reads it from stdin", "")
    .addHelpText("after", '\nExample:\n  longhand generate runs/book "It was" --tokens 300 --temperature 0.7')
    .action((run: string, prompt: string, flags: GenerateFlags) => runGenerate(run, prompt, flags, streams));
  addFlags(command, generateSettingsSchema, loadSettingsSchema);
  command.option("--json", "One JSON line with the whole text on stdout.");
}

async function runGenerate(run: string, given: string, flags: GenerateFlags, streams: Streams): Promise<void> {
  const { json, threads, device, adapter, ...settings } = flags;
  const prompt = given === "-" ? await readStandardInput("prompt") : given;
  const onWarning = (message: string) => void streams.err.write(`warning: ${message}\n`);
  const model = await loadModel(run, { threads, device, adapter, onWarning });
  const stopping = stopSignal("stopping");
  try {
    let begun = false;
    for await (const piece of generate(model, { ...settings, prompt, signal: stopping.signal })) {
      if (piece.type === "text") {
        // The prompt is shown with the first piece: by then every option has been checked.
        if (!json) streams.out.write(begun ? piece.text : prompt + piece.text);
        begun = true;
      } else if (json) {
        const { type, ...record } = piece;
        printJson(streams, { prompt, ...record });
      } else {
        streams.out.write("\n");
        streams.err.write(`${piece.tokens} tokens, ${piece.tokensPerSecond.toFixed(0)} tokens/s\n`);
        if (piece.statistics) streams.err.write(table(piece.statistics));
      }
    }
  } finally {
    stopping.release();
    await model.close();
  }
}

function table(stretches: readonly TextStretch[]): string {
  const rows = stretches.map(({ from, to, repeated, modelEntropy, sampledEntropy }) => {
    const share = Number.isNaN(repeated) ? "-" : `${(100 * repeated).toFixed(2)} %`;
    const entropies = [modelEntropy, sampledEntropy].map((entropy) => entropy.toFixed(3).padStart(12)).join("");
    return `  ${`${from}–${to - 1}`.padEnd(16)}${share.padStart(10)}${entropies}\n`;
  });
  return `tokens, repeated 8-grams, entropy in nats of the model and of what was sampled from\n${rows.join("")}`;
}
