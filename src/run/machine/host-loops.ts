/** What runs the optimiser's loops of a training: as many threads as the engine has, where they can see its arrays. */
import { chooseBinding, type OrtNodeOptions } from "../../runtime/ort-node.ts";
import { type HostLoops, loopsHere } from "../../train/host-loops.ts";
import { LoopThreads } from "../../train/loop-threads.node.ts";

/** More would wait for memory, and each takes 10 MB. */
const MOST_THREADS = 32;

/**
 * For an engine with these options. The caller's thread alone where there is one thread, for other devices, and with the
 * binding of onnxruntime-node, which needs no koffi.
 */
export function hostLoops({
  device = "cpu",
  threads = 1,
  binding,
}: Pick<OrtNodeOptions, "device" | "threads" | "binding">): HostLoops {
  if (threads < 2 || chooseBinding(device, binding).binding === "node") return loopsHere;
  return new LoopThreads({ threads: Math.min(threads, MOST_THREADS) });
}
