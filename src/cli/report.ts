/** Errors as one sentence on stderr, and as an exit status: 1 failed, 2 wrong usage. */
import { CommanderError } from "commander";
import { LonghandError, messageOf } from "../base/errors.ts";
import { withFlags } from "../config/flags.ts";
import type { Streams } from "./output.ts";

/** Tells an error and returns the status. `who`: which of several processes met it. */
export function report(error: unknown, { err }: Streams, who = ""): number {
  if (error instanceof CommanderError) return statusOf(error); // commander has printed its message
  if (error instanceof LonghandError) err.write(`longhand: ${who}${withFlags(error.message)}\n`);
  else err.write(`longhand: ${who}${error instanceof Error ? (error.stack ?? error.message) : messageOf(error)}\n`);
  return statusOf(error);
}

export function statusOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  return error instanceof LonghandError && error.code === "usage" ? 2 : 1;
}
