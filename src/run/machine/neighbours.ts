/** Which of the processes that train together share this machine: they divide its processors and its memory. */
import { hostname } from "node:os";
import { readIfThere } from "../../base/control-groups.node.ts";
import { type Communicator, gatherTexts } from "../../train/communicator.ts";

export interface Neighbours {
  /** Processes on this machine, this one among them. */
  readonly here: number;
  /** Of those, the ones that may run on the same processors: all, unless the launcher has bound each to its own. */
  readonly sharing: number;
}

export async function neighboursOf(communicator: Communicator): Promise<Neighbours> {
  if (communicator.size === 1) return { here: 1, sharing: 1 };
  const allowed = /^Cpus_allowed_list:\s*(.*)$/m.exec(readIfThere("/proc/self/status") ?? "")?.[1];
  const own = [hostname(), allowed ?? "all"] as const;
  const all = (await gatherTexts(communicator, JSON.stringify(own), { what: "the names of the machines" })).map(
    (text) => JSON.parse(text) as typeof own,
  );
  const here = all.filter(([host]) => host === own[0]);
  return { here: here.length, sharing: here.filter(([, processors]) => processors === own[1]).length };
}
