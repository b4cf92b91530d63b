/** The other end of process.ts: a hello, then one JSON answer a line for each JSON command a line. */
import { createInterface } from "node:readline";
import { LonghandError } from "longhand";
import { messageOf } from "longhand/tools";

export type Command = Readonly<Record<string, unknown>> & { readonly do: string };

type Commands = Readonly<Record<string, (command: Command) => Promise<object>>>;

/**
 * Returns after "exit" or the end of stdin. A command that throws is answered with its error. "memory" is answered for
 * every process.
 */
export async function serveCommands(hello: object, commands: Commands): Promise<void> {
  const all: Commands = { memory: async () => ({ peakBytes: peakBytes() }), ...commands };
  const answer = (reply: object) => process.stdout.write(`${JSON.stringify(reply)}\n`);
  answer(hello);
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line) as Command;
    if (command.do === "exit") return;
    try {
      if (!Object.hasOwn(all, command.do)) throw new Error(`unknown command ${command.do}`);
      answer(await all[command.do](command));
    } catch (error) {
      answer({ error: messageOf(error), ...(error instanceof LonghandError ? { code: error.code } : {}) });
    }
  }
}

/** The largest resident size that this process had, in bytes, as the system counts it. */
export function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
