/** `prepare` in a process of its own that can be killed: small shards, the journal at every batch, a line on stdout for each. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { PrepareSettingsInput } from "../../src/config/prepare-settings.ts";
import { root } from "../cli/command.ts";

/** In the built package, which is what is installed. */
const SCRIPT = `
const [settings] = process.argv.slice(1);
const { prepare } = await import(${JSON.stringify(pathToFileURL(join(root, "dist/src/run/data/prepare.js")).href)});
const onEvent = (event) => console.log(JSON.stringify(event));
await prepare(JSON.parse(settings), { onEvent, shards: { maxTokensPerShard: 7000, journalEveryMs: 0 } });
`;

export interface PrepareProcess {
  readonly child: ChildProcess;
  /** Resolves with the events when it has ended, by itself or by a signal. */
  readonly ended: Promise<Record<string, unknown>[]>;
}

/** Starts it; `onLine` is told each event as it comes. */
export function startPrepare(
  settings: PrepareSettingsInput,
  onLine: (event: Record<string, unknown>, child: ChildProcess) => void = () => {},
): PrepareProcess {
  const args = ["--input-type=module", "-e", SCRIPT, JSON.stringify(settings)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const events: Record<string, unknown>[] = [];
  let rest = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() as string;
    for (const line of lines) {
      events.push(JSON.parse(line));
      onLine(events[events.length - 1], child);
    }
  });
  return { child, ended: once(child, "close").then(() => events) };
}
