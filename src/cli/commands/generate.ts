/** longhand generate */
import type { Command } from "commander";
import { LonghandError } from "../../base/errors.ts";
import { generate, generateDefaults } from "../../run/use/generate.ts";
import { loadModel } from "../../run/use/model.ts";
import { readStandardInput } from "../input.ts";
import { numberOrText } from "../options.ts";
import { printJson, type Streams } from "../output.ts";
import { stopSignal } from "../signals.ts";

interface GenerateFlags {
  tokens?: unknown;
  temperature?: unknown;
  topK?: unknown;
  topP?: unknown;
  seed?: unknown;
  threads?: unknown;
  stop?: string[];
  json?: boolean;
}

export function addGenerate(program: Command, streams: Streams): void {
  program
    .command("generate")
    .summary("write text with a model")
    .description(
      "Continues a prompt with the model of a run and streams the text; without a limit of length, and with flash in " +
        "constant memory.",
    )
    .argument("<run>", "run folder")
    .argument("[prompt]", "what the text begins with; - reads it from stdin", "")
    .option("--tokens <n>", `tokens to write (default: ${generateDefaults.tokens})`, numberOrText)
    .option(
      "--temperature <x>",
      `0 always takes the likeliest token (default: ${generateDefaults.temperature})`,
      numberOrText,
    )
    .option("--top-k <n>", "choose among the k likeliest tokens (default: all)", numberOrText)
    .option(
      "--top-p <x>",
      `choose among the likeliest tokens of this total probability (default: ${generateDefaults.topP})`,
      numberOrText,
    )
    .option("--seed <n>", `seed of the choices (default: ${generateDefaults.seed})`, numberOrText)
    .option("--stop <text>", "end before this text; may be repeated", (value: string, all: string[] = []) => [
      ...all,
      value,
    ])
    .option("--threads <n>", "threads of one operation (default: the run's)", numberOrText)
    .option("--json", "One JSON line with the whole text on stdout.")
    .addHelpText("after", '\nExample:\n  longhand generate runs/book "It was" --tokens 300 --temperature 0.7')
    .action((run: string, prompt: string, options: GenerateFlags) => runGenerate(run, prompt, options, streams));
}

async function runGenerate(run: string, given: string, options: GenerateFlags, streams: Streams): Promise<void> {
  const { json, stop, threads, ...numbers } = options;
  for (const [name, value] of Object.entries({ ...numbers, threads })) {
    if (value !== undefined && typeof value !== "number") {
      throw new LonghandError(
        "usage",
        `--${name.replace(/[A-Z]/, (c) => `-${c.toLowerCase()}`)} ${value}: expected a number`,
      );
    }
  }
  if (threads !== undefined && !(Number.isInteger(threads) && Number(threads) >= 1)) {
    throw new LonghandError("usage", `--threads ${threads}: expected a whole number of at least 1`);
  }
  const prompt = given === "-" ? await readStandardInput("prompt") : given;
  const onWarning = (message: string) => void streams.err.write(`warning: ${message}\n`);
  const model = await loadModel(run, { threads: threads as number | undefined, onWarning });
  const stopping = stopSignal("stopping");
  try {
    const pieces = generate(model, { ...(numbers as Record<string, number>), stop, prompt, signal: stopping.signal });
    let begun = false;
    for await (const piece of pieces) {
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
