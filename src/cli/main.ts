/** The command line: arguments to one call each, errors to one sentence and an exit status (0, 1 failed, 2 wrong usage). */
import { Command } from "commander";
import { launchOf } from "../mpi/launcher.ts";
import { version } from "../run/machine/version.ts";
import { configureHelp } from "./help.ts";
import type { Streams } from "./output.ts";
import { report, statusOf } from "./report.ts";

/** Name, summary, and the module that has the rest: loaded when the command is named. */
const commands = [
  ["train", "train a language model on a text", () => import("./commands/train.ts")],
  ["eval", "perplexity of a text under a model", () => import("./commands/eval.ts")],
  ["generate", "write text with a model", () => import("./commands/generate.ts")],
  ["fill", "fill in blanks with a model", () => import("./commands/fill.ts")],
  ["score", "find what surprises a model in a text", () => import("./commands/score.ts")],
  ["export", "write a model for other programs", () => import("./commands/export.ts")],
  ["import", "take over a model of another library", () => import("./commands/import.ts")],
  ["serve", "answer requests over HTTP with models", () => import("./commands/serve.ts")],
  ["studio", "a page to watch and start trainings and play with models", () => import("./commands/studio.ts")],
  ["prepare", "make token shards of a corpus", () => import("./commands/prepare.ts")],
  ["data", "look at prepared text", () => import("./commands/data.ts")],
  ["inspect", "say what a folder or file is", () => import("./commands/inspect.ts")],
  ["models", "every architecture, its size and its cost", () => import("./commands/models.ts")],
  ["reproduce", "rerun the paper's comparison on your text and machine", () => import("./commands/reproduce.ts")],
  ["bench", "measure this machine: speed and memory of every size", () => import("./commands/bench.ts")],
  ["doctor", "check this machine", () => import("./commands/doctor.ts")],
] as const;

/** What the command alone says. */
const FIRST_STEPS = `longhand train --data book.txt           learns a text of yours, into runs/book
longhand generate runs/book "It was"     writes on from there
longhand --help                          says what else there is; longhand doctor checks this machine
`;

export async function main(argv: readonly string[]): Promise<void> {
  const streams: Streams = { out: process.stdout, err: process.stderr };
  // A reader that went away (| head) ends the command quietly.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  // Nobody to tell is no reason to end a training.
  process.stderr.on("error", () => {});
  // Of several processes that are given the same command, the first says what is wrong with it.
  const tells = (launchOf(process.env)?.rank ?? 0) === 0;
  const program = new Command("longhand")
    .description("Long-context language models of your own text, trained and run on the machine you have.")
    .version(version)
    .addHelpText("after", "\nExample:\n  longhand train --data book.txt --out runs/book")
    .showSuggestionAfterError()
    .configureOutput({ outputError: (text, write) => (tells ? write(sentence(text)) : undefined) })
    .exitOverride();
  configureHelp(program, { all: argv.includes("--all") });
  if (argv.length <= 2) {
    process.stderr.write(FIRST_STEPS);
    process.exitCode = 2;
    return;
  }
  try {
    for (const [name, summary, load] of commands) {
      const command = program.command(name).summary(summary);
      if (argv.includes(name)) (await load()).define(command, streams);
    }
    await program.parseAsync(argv as string[]);
  } catch (error) {
    process.exitCode = tells ? report(error, streams) : statusOf(error);
  }
}

/** Commander's complaint as one line that names the program. */
function sentence(text: string): string {
  return `${text
    .trim()
    .replace(/^error: /, "longhand: ")
    .replace(/\s*\n\(Did/, " (did")}\n`;
}
