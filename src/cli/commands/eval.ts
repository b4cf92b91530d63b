/** longhand eval */
import type { Command } from "commander";
import {
  type EvaluateSettings,
  evaluateSettingsSchema,
  type LoadSettings,
  loadSettingsSchema,
} from "../../config/use-settings.ts";
import { type EvaluateOptions, evaluate, evaluateMasked, type PositionLoss } from "../../run/use/evaluate.ts";
import { type LoadedModel, loadModel } from "../../run/use/model.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";
import { fetching, openProgress } from "../progress.ts";

type EvalFlags = EvaluateSettings & LoadSettings & { readonly json?: boolean };

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Perplexity of a text under the model of a run: per token, per word, bits per byte, by position in the context. Of a model that fills in blanks, perplexity and accuracy over 15 % of the tokens, always the same.",
    )
    .argument("<run>", "run folder")
    .addHelpText("after", "\nExample:\n  longhand eval runs/book --data other.txt --context 8192")
    .action((run: string, flags: EvalFlags) => runEval(run, flags, streams));
  addFlags(command, evaluateSettingsSchema, loadSettingsSchema);
  command.option("--json", "The result as one JSON line on stdout.");
}

async function runEval(run: string, flags: EvalFlags, streams: Streams): Promise<void> {
  const { json, threads, device, ...settings } = flags;
  const progress = openProgress("eval");
  const onWarning = (message: string) => progress.note(`warning: ${message}`);
  const model = await loadModel(run, { threads, device, onWarning });
  try {
    const onProgress = (done: number) => progress.update(Math.round(done * 100), 100, "%");
    const options = { ...settings, onWarning, onDownload: fetching(progress), onProgress };
    const { result, text } = await measured(model, options);
    progress.end();
    if (json) printJson(streams, result);
    else streams.out.write(text);
  } finally {
    progress.end();
    await model.close();
  }
}

/** The result of either objective, and the same as text. */
async function measured(model: LoadedModel, options: EvaluateOptions): Promise<{ result: object; text: string }> {
  if (model.config.training.objective === "masked") {
    const result = await evaluateMasked(model, options);
    const { loss, tokens, context, perplexity, accuracy, byPosition } = result;
    const text =
      `loss ${loss.toFixed(4)} nats a token over ${tokens} masked tokens, context ${context}\n` +
      `perplexity ${perplexity.toFixed(2)} a token, accuracy ${(100 * accuracy).toFixed(2)} %\n`;
    return { result, text: text + table(byPosition) };
  }
  const result = await evaluate(model, options);
  const { loss, tokens, context, perplexity, wordPerplexity, bitsPerByte, byPosition } = result;
  const text =
    `loss ${loss.toFixed(4)} nats a token over ${tokens} tokens, context ${context}\n` +
    `perplexity ${perplexity.toFixed(2)} a token, ${wordPerplexity.toFixed(1)} a word; ${bitsPerByte.toFixed(4)} bits a byte\n`;
  return { result, text: text + table(byPosition) };
}

function table(byPosition: readonly PositionLoss[]): string {
  const rows = byPosition.map(({ from, to, perplexity, tokens }) => {
    const range = to - from === 1 ? `${from}` : `${from}–${to - 1}`;
    return `  ${range.padEnd(14)}${perplexity.toFixed(2).padStart(10)}${String(tokens).padStart(10)}\n`;
  });
  return `position in the context, perplexity, tokens\n${rows.join("")}`;
}
