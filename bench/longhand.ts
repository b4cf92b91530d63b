/** How Longhand's measured processes are started: this Node, this loader, the environment of the command line. */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { WorkerOptions } from "../reproduce/worker-process.ts";
import { longhandEnvironment } from "./machine.ts";

export const threads = (): number => availableParallelism();

/** `script` is a file beside this one. */
export function nodeWorker(name: string, script: string, args: readonly string[]): WorkerOptions {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return {
    name,
    command: process.execPath,
    args: [...process.execArgv, path, ...args],
    env: longhandEnvironment(),
  };
}

export function longhandWorker(name: string, setupFile: string): WorkerOptions {
  return nodeWorker(name, "longhand-worker.ts", [setupFile, String(threads())]);
}
