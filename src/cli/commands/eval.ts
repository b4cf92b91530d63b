/** longhand eval */
import { type Command, InvalidArgumentError } from "commander";
import { type EvaluateOptions, evaluate, evaluateMasked, type PositionLoss } from "../../run/use/evaluate.ts";
import { type LoadedModel, loadModel } from "../../run/use/model.ts";
import { printJson, type Streams } from "../output.ts";
import { fetching, openProgress } from "../progress.ts";

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError("expected a whole number of at least 1.");
  return value;
}

interface EvalFlags {
  data: string;
  field?: string;
  split?: string;
  limit?: string;
  context?: number;
  threads?: number;
  json?: boolean;
}

export function addEval(program: Command, streams: Streams): void {
  program
    .command("eval")
    .summary("perplexity of a text under a model")
    .description(
      "Perplexity of a text under the model of a run: per token, per word, bits per byte, by position in the context. Of a model that fills in blanks, perplexity and accuracy over 15 % of the tokens, always the same.",
    )
    .argument("<run>", "run folder")
    .requiredOption("--data <path>", "text to evaluate: what train takes, or token shards")
    .option("--field <name>", "field of JSON lines, or column of parquet, that holds the text (default: text)")
    .option("--split <name>", "part of a published data set: train, validation or test (default: validation)")
    .option("--limit <amount>", "at most so much text: 10MB, 100docs")
    .option("--context <n>", "tokens a window (default: the training context)", wholeNumber)
    .option("--threads <n>", "threads of one operation (default: the run's)", wholeNumber)
    .option("--json", "The result as one JSON line on stdout.")
    .addHelpText("after", "\nExample:\n  longhand eval runs/book --data other.txt --context 8192")
    .action(async (run: string, options: EvalFlags) => {
      const progress = openProgress("eval");
      const model = await loadModel(run, {
        threads: options.threads,
        onWarning: (m) => progress.note(`warning: ${m}`),
      });
      try {
        const { json: _, threads: __, ...request } = options;
        const { result, text } = await measured(model, {
          ...request,
          onWarning: (m) => progress.note(`warning: ${m}`),
          onDownload: fetching(progress),
          onProgress: (done) => progress.update(Math.round(done * 100), 100, "%"),
        });
        progress.end();
        if (options.json) printJson(streams, result);
        else streams.out.write(text);
      } finally {
        progress.end();
        await model.close();
      }
    });
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
