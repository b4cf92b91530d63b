/** longhand studio */
import type { Command } from "commander";
import { type StudioSettingsInput, studioSettingsSchema } from "../../config/studio-settings.ts";
import { startStudio } from "../../studio/studio.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";
import { stopSignal } from "../signals.ts";

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Serves a web page to watch, compare and start trainings, and to play with models, for this machine alone. " +
        "Prints its address, with a token that opens it. Trainings that were started from it go on when it ends.",
    )
    .argument("[folder]", "folder of runs", "runs")
    .addHelpText("after", "\nExample:\n  longhand studio runs")
    .action((folder: string, flags: StudioSettingsInput & { json?: boolean }) => runStudio(folder, flags, streams));
  addFlags(command, studioSettingsSchema);
  command.option("--json", "One JSON line on stdout with the address, once it listens.");
}

async function runStudio(
  runs: string,
  { json, ...settings }: StudioSettingsInput & { json?: boolean },
  streams: Streams,
): Promise<void> {
  const onWarning = (message: string) => void streams.err.write(`warning: ${message}\n`);
  const stopping = stopSignal("stopping; trainings go on");
  try {
    const program = [process.execPath, process.argv[1]];
    const studio = await startStudio({ ...settings, runs, program, onWarning });
    streams.err.write(`studio of ${runs} at ${studio.url}\n`);
    if (json) printJson(streams, { type: "listening", url: studio.url });
    await new Promise<void>((resolve) => {
      if (stopping.signal.aborted) resolve();
      stopping.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await studio.close();
  } finally {
    stopping.release();
  }
}
