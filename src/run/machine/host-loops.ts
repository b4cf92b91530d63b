/** What runs the optimiser's loops of a training: as many threads as the engine has, where they can see its arrays. */

import type { Device } from "../../runtime/engine.ts";
import { chooseBinding } from "../../runtime/ort-node.ts";
import { type HostLoops, loopsHere } from "../../train/host-loops.ts";
import { LoopThreads } from "../../train/loop-threads.node.ts";

/** More would wait for memory, and each takes 10 MB. */
const MOST_THREADS = 32;

/** The caller's thread alone where there is one thread, for other devices, and where koffi is not used or does not work. */
export function hostLoops({ device = "cpu", threads = 1 }: { device?: Device; threads?: number }): HostLoops {
  const alone = threads < 2 || device !== "cpu" || chooseBinding(device).binding !== "c-api";
  return alone ? loopsHere : new LoopThreads({ threads: Math.min(threads, MOST_THREADS) });
}
