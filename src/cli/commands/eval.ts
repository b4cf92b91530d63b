/** longhand eval */
import { type Command, InvalidArgumentError } from "commander";
import { evaluate } from "../../run/evaluate.ts";
import { loadModel } from "../../run/model.ts";
import { printJson, type Streams } from "../output.ts";
import { openProgress } from "../progress.ts";

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError("expected a whole number of at least 1.");
  return value;
}

export function addEval(program: Command, streams: Streams): void {
  program
    .command("eval")
    .summary("perplexity of a text under a model")
    .description(
      "Perplexity of a text under the model of a run: per token, per word, bits per byte, by position in the context.",
    )
    .argument("<run>", "run folder")
    .requiredOption("--data <path>", "text to evaluate: a UTF-8 file, a folder of them, or token shards")
    .option("--context <n>", "tokens a window (default: the training context)", wholeNumber)
    .option("--threads <n>", "threads of one operation (default: the run's)", wholeNumber)
    .option("--json", "The result as one JSON line on stdout.")
    .addHelpText("after", "\nExample:\n  longhand eval runs/book --data other.txt --context 8192")
    .action(async (run: string, options: { data: string; context?: number; threads?: number; json?: boolean }) => {
      const progress = openProgress("eval");
      const model = await loadModel(run, {
        threads: options.threads,
        onWarning: (m) => progress.note(`warning: ${m}`),
      });
      try {
        const result = await evaluate(model, {
          data: options.data,
          context: options.context,
          onProgress: (done) => progress.update(Math.round(done * 100), 100, "%"),
        });
        progress.end();
        if (options.json) return printJson(streams, result);
        const rows = result.byPosition.map(({ from, to, perplexity, tokens }) => [
          to - from === 1 ? `${from}` : `${from}–${to - 1}`,
          perplexity.toFixed(2),
          String(tokens),
        ]);
        streams.out.write(
          `loss ${result.loss.toFixed(4)} nats a token over ${result.tokens} tokens, context ${result.context}\n` +
            `perplexity ${result.perplexity.toFixed(2)} a token, ${result.wordPerplexity.toFixed(1)} a word; ${result.bitsPerByte.toFixed(4)} bits a byte\n` +
            `position in the context, perplexity, tokens\n${rows.map((row) => `  ${row[0].padEnd(14)}${row[1].padStart(10)}${row[2].padStart(10)}`).join("\n")}\n`,
        );
      } finally {
        progress.end();
        await model.close();
      }
    });
}
