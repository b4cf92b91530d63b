/** How Longhand's measured processes are started: as this one, in the environment of the command line. */
import { availableParallelism } from "node:os";
import { nodeProcess, type ProcessOptions } from "../reproduce/process.ts";
import type { OrtNodeOptions } from "../src/runtime/ort-node.ts";
import { longhandEnvironment } from "./machine.ts";

export const threads = (): number => availableParallelism();

/** `script` is a file beside this one. */
export function nodeWorker(name: string, script: string, args: readonly string[]): ProcessOptions {
  return nodeProcess(new URL(script, import.meta.url), name, args, longhandEnvironment());
}

/** `engine` has options of the engine that are not the default. */
export function longhandWorker(name: string, setupFile: string, engine: OrtNodeOptions = {}): ProcessOptions {
  return nodeWorker(name, "longhand-worker.ts", [setupFile, String(threads()), JSON.stringify(engine)]);
}
