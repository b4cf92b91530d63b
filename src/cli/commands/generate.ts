/** longhand generate */
import type { Command } from "commander";
import {
  type GenerateSettings,
  generateSettingsSchema,
  type LoadSettings,
  loadSettingsSchema,
} from "../../config/use-settings.ts";
import { generate } from "../../run/use/generate.ts";
import { loadModel } from "../../run/use/model.ts";
import { readStandardInput } from "../input.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";
import { stopSignal } from "../signals.ts";

type GenerateFlags = GenerateSettings & LoadSettings & { readonly json?: boolean };

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Continues a prompt with the model of a run and streams the text. There is no limit of length, and flash writes in " +
        "constant memory; whether the text stays good beyond the trained context is another matter (see the README).",
    )
    .argument("<run>", "run folder")
    .argument("[prompt]", "what the text begins with; - reads it from stdin", "")
    .addHelpText("after", '\nExample:\n  longhand generate runs/book "It was" --tokens 300 --temperature 0.7')
    .action((run: string, prompt: string, flags: GenerateFlags) => runGenerate(run, prompt, flags, streams));
  addFlags(command, generateSettingsSchema, loadSettingsSchema);
  command.option("--json", "One JSON line with the whole text on stdout.");
}

async function runGenerate(run: string, given: string, flags: GenerateFlags, streams: Streams): Promise<void> {
  const { json, threads, device, ...settings } = flags;
  const prompt = given === "-" ? await readStandardInput("prompt") : given;
  const onWarning = (message: string) => void streams.err.write(`warning: ${message}\n`);
  const model = await loadModel(run, { threads, device, onWarning });
  const stopping = stopSignal("stopping");
  try {
    let begun = false;
    for await (const piece of generate(model, { ...settings, prompt, signal: stopping.signal })) {
      if (piece.type === "text") {
        // The prompt is shown with the first piece: by then every option has been checked.
        if (!json) streams.out.write(begun ? piece.text : prompt + piece.text);
        begun = true;
      } else if (json) {
        const { text, tokens, tokensPerSecond, stopReason } = piece;
        printJson(streams, { prompt, text, tokens, tokensPerSecond, stopReason });
      } else {
        streams.out.write("\n");
        streams.err.write(`${piece.tokens} tokens, ${piece.tokensPerSecond.toFixed(0)} tokens/s\n`);
      }
    }
  } finally {
    stopping.release();
    await model.close();
  }
}
