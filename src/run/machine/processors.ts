/** The processors of this machine, and how many of them this process may use. */
import { availableParallelism, cpus } from "node:os";

export interface Processors {
  /** As the maker calls them. */
  readonly name: string;
  readonly available: number;
  readonly all: number;
}

export function processors(): Processors {
  const all = cpus();
  return { name: all[0]?.model.trim() || "unknown processor", available: availableParallelism(), all: all.length };
}
