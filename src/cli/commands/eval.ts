/** longhand eval */
import type { Command } from "commander";
import { LonghandError } from "../../base/errors.ts";
import { flagOf } from "../../config/flags.ts";
import {
  choicesSettingsSchema,
  type EvaluateSettings,
  evaluateSettingsSchema,
  type LoadSettings,
  loadSettingsSchema,
  wholeSettingsSchema,
} from "../../config/use-settings.ts";
import { type EvaluateOptions, evaluate, evaluateMasked, type PositionLoss } from "../../run/use/evaluate.ts";
import { evaluateWhole } from "../../run/use/evaluate-whole.ts";
import type { TextPerplexity } from "../../run/use/measure.ts";
import { type LoadedModel, loadModel } from "../../run/use/model.ts";
import { evaluateChoices } from "../../run/use/questions.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";
import { fetching, openProgress } from "../progress.ts";

type EvalFlags = EvaluateSettings &
  LoadSettings & { readonly json?: boolean; readonly whole?: boolean; readonly choices?: string };

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Perplexity of a text under the model of a run: per token, per word, bits per byte, by position in the context. Of a model that fills in blanks, perplexity and accuracy over 15 % of the tokens, always the same.",
    )
    .argument("<run>", "run folder or export")
    .addHelpText(
      "after",
      "\nExamples:\n  longhand eval runs/book --data other.txt --context 8192\n  longhand eval runs/book --data other.txt --whole\n  longhand eval runs/book --data other.txt --context 1024 --stride 256",
    )
    .action((run: string, flags: EvalFlags) => runEval(run, flags, streams));
  addFlags(command, evaluateSettingsSchema, wholeSettingsSchema, choicesSettingsSchema, loadSettingsSchema);
  command.option("--json", "The result as one JSON line on stdout.");
}

async function runEval(run: string, flags: EvalFlags, streams: Streams): Promise<void> {
  const { json, choices, threads, device, adapter, ...texts } = flags;
  const { whole = false, ...settings } = texts;
  const other = Object.keys(texts)[0];
  if (choices !== undefined && other !== undefined)
    throw new LonghandError(
      "usage",
      `${flagOf(other)} cannot be combined with --choices, whose file has all that is read`,
    );
  const progress = openProgress("eval");
  const onWarning = (message: string) => progress.note(`warning: ${message}`);
  const model = await loadModel(run, { threads, device, adapter, onWarning });
  try {
    const onProgress = (done: number) => progress.update(Math.round(done * 100), 100, "%");
    const options = { ...settings, onWarning, onDownload: fetching(progress), onProgress };
    const { result, text } = await (choices !== undefined
      ? answered(model, choices, onProgress)
      : whole
        ? measuredWhole(model, options)
        : measured(model, options));
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
    return { result, text: text + table(byPosition, "context") };
  }
  const result = await evaluate(model, options);
  const { context, carried, byPosition } = result;
  const where = carried ? "document" : "context";
  const read = carried ? `whole documents, trained at a context of ${context}` : `context ${context}`;
  return { result, text: `${summary(result, read)}${table(byPosition, where)}` };
}

async function measuredWhole(model: LoadedModel, options: EvaluateOptions): Promise<{ result: object; text: string }> {
  const result = await evaluateWhole(model, options);
  const { loss, documents, byPosition, withoutDistant, windows } = result;
  const more = (other: { readonly loss: number; readonly perplexity: number }) => {
    const difference = other.loss - loss;
    const sign = difference < 0 ? "−" : "+";
    return `perplexity ${other.perplexity.toFixed(2)} (${sign}${Math.abs(difference).toFixed(4)} nats a token)`;
  };
  const read = documents === 1 ? "one whole document" : `${documents} whole documents`;
  const text =
    summary(result, read) +
    `without the distant half: ${more(withoutDistant)}\n` +
    `in windows of ${windows.context} that each begin anew: ${more(windows)}\n`;
  return { result, text: text + table(byPosition, "document", withoutDistant.byPosition) };
}

async function answered(model: LoadedModel, choices: string, onProgress: (done: number) => void) {
  const result = await evaluateChoices(model, { choices, onProgress });
  const { questions, accuracy, accuracyPerToken, accuracyPerByte, chance, exact, perplexity } = result;
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const text =
    `right answers to ${questions} questions: ${percent(accuracy)} by likelihood, ${percent(accuracyPerToken)} per token, ` +
    `${percent(accuracyPerByte)} per byte; by chance ${percent(chance)}\n` +
    `written word for word: ${percent(exact)}; perplexity of a right answer ${perplexity.toFixed(2)}\n`;
  return { result, text };
}

/** Two lines. */
function summary({ loss, tokens, perplexity, wordPerplexity, bitsPerByte }: TextPerplexity, read: string): string {
  return (
    `loss ${loss.toFixed(4)} nats a token over ${tokens} tokens, ${read}\n` +
    `perplexity ${perplexity.toFixed(2)} a token, ${wordPerplexity.toFixed(1)} a word; ${bitsPerByte.toFixed(4)} bits a byte\n`
  );
}

/** `beside`: the same positions without the distant half. */
function table(byPosition: readonly PositionLoss[], where: string, beside?: readonly PositionLoss[]): string {
  const rows = byPosition.map(({ from, to, perplexity, tokens }, i) => {
    const range = to - from === 1 ? `${from}` : `${from}–${to - 1}`;
    const numbers = [perplexity.toFixed(2), ...(beside ? [beside[i].perplexity.toFixed(2)] : []), String(tokens)];
    return `  ${range.padEnd(14)}${numbers.map((number) => number.padStart(10)).join("")}\n`;
  });
  const columns = beside ? "perplexity, without the distant half, tokens" : "perplexity, tokens";
  return `position in the ${where}, ${columns}\n${rows.join("")}`;
}
