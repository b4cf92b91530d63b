/** longhand serve */
import type { Command } from "commander";
import { LonghandError } from "../../base/errors.ts";
import { type ServeSettingsInput, serveSettingsSchema } from "../../config/serve-settings.ts";
import { type LoadSettings, loadSettingsSchema } from "../../config/use-settings.ts";
import { serve } from "../../serve/serve.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";
import { stopSignal } from "../signals.ts";

type ServeFlags = ServeSettingsInput & LoadSettings & { readonly json?: boolean };

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Serves models over HTTP, with the completions of OpenAI's API, for this machine alone unless told otherwise. Requests " +
        "are logged as JSON lines on stdout, without their text. LONGHAND_API_KEY is the key that clients must have.",
    )
    .argument("<model...>", "run folders or exports; each is served under the name of its folder")
    .addHelpText("after", "\nExample:\n  longhand serve runs/book --port 8080 --sessions sessions")
    .action((models: string[], flags: ServeFlags) => runServe(models, flags, streams));
  addFlags(command, serveSettingsSchema, loadSettingsSchema);
  command.option("--json", "One JSON line on stdout with the address, once it listens.");
}

async function runServe(models: readonly string[], flags: ServeFlags, streams: Streams): Promise<void> {
  const { json, ...settings } = flags;
  const key = process.env.LONGHAND_API_KEY;
  const onWarning = (message: string) => void streams.err.write(`warning: ${message}\n`);
  const stopping = stopSignal("stopping: what has begun is finished first");
  try {
    const server = await serve({ ...settings, models, key, log: streams.out, onWarning });
    streams.err.write(`serving ${server.models.join(", ")} at ${server.address}\n`);
    if (json) printJson(streams, { type: "listening", address: server.address, models: server.models });
    const told = new Promise<undefined>((resolve) => {
      if (stopping.signal.aborted) resolve(undefined);
      stopping.signal.addEventListener("abort", () => resolve(undefined), { once: true });
    });
    const failure = await Promise.race([server.failed, told]);
    await server.close();
    if (failure !== undefined) throw new LonghandError("engine", failure);
  } finally {
    stopping.release();
  }
}
