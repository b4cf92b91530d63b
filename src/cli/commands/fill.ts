/** longhand fill */
import type { Command } from "commander";
import { fill, fillDefaults } from "../../run/use/fill.ts";
import { loadModel } from "../../run/use/model.ts";
import { readStandardInput } from "../input.ts";
import { printJson, type Streams } from "../output.ts";
import { wholeNumber } from "./eval.ts";

interface FillFlags {
  topK?: number;
  threads?: number;
  json?: boolean;
}

export function addFill(program: Command, streams: Streams): void {
  program
    .command("fill")
    .summary("fill in blanks with a model")
    .description("Fills every [MASK] of a text with the model of a run that was trained with --objective masked.")
    .argument("<run>", "run folder")
    .argument("<text>", "the text, with [MASK] where one token is missing; - reads it from stdin")
    .option("--top-k <n>", `tokens to name for each blank (default: ${fillDefaults.topK})`, wholeNumber)
    .option("--threads <n>", "threads of one operation (default: the run's)", wholeNumber)
    .option("--json", "The result as one JSON line on stdout.")
    .addHelpText("after", '\nExample:\n  longhand fill runs/book "It was a [MASK] night." --top-k 3')
    .action((run: string, text: string, options: FillFlags) => runFill(run, text, options, streams));
}

async function runFill(
  run: string,
  given: string,
  { topK, threads, json }: FillFlags,
  streams: Streams,
): Promise<void> {
  const text = given === "-" ? await readStandardInput("text") : given;
  const onWarning = (message: string) => void streams.err.write(`warning: ${message}\n`);
  const model = await loadModel(run, { threads, onWarning });
  try {
    const result = await fill(model, text, { topK });
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
