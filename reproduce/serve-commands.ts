/** The worker's end of worker-process.ts: a hello, then one JSON answer a line for each JSON command a line. */

import { createInterface } from "node:readline";
import { messageOf } from "longhand/tools";

export interface Command {
  readonly do: string;
}

/** Returns after "exit" or the end of stdin. A command that throws is answered with its error. */
export async function serveCommands(
  hello: object,
  commands: Readonly<Record<string, (command: Command) => Promise<object>>>,
): Promise<void> {
  const answer = (reply: object) => process.stdout.write(`${JSON.stringify(reply)}\n`);
  answer(hello);
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line) as Command;
    if (command.do === "exit") return;
    try {
      if (!Object.hasOwn(commands, command.do)) throw new Error(`unknown command ${command.do}`);
      answer(await commands[command.do](command));
    } catch (error) {
      answer({ error: messageOf(error) });
    }
  }
}

/** The largest resident size that this process had, in bytes, as the system counts it. */
export function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
