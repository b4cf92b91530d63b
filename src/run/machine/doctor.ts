/** What this machine offers Longhand, and what to do about each problem found. */
import { processors } from "../../base/processors.node.ts";
import { lookForMpi, type Probed } from "../../mpi/look.node.ts";
import { hugePages } from "../../runtime/huge-pages.node.ts";
import { chooseBinding, ortVersion } from "../../runtime/ort-node.ts";
import { machineMemory } from "./available-memory.ts";
import { obstacleTo } from "./choose-device.ts";
import { problemOf } from "./device.ts";
import { version } from "./version.ts";

export interface Finding {
  readonly name: string;
  readonly value: string;
  /** What is wrong and what to do; absent when all is well. */
  readonly advice?: string;
  /** Whether it is something that this machine does not have and Longhand can do without. */
  readonly missing?: true;
}

const GIB = 2 ** 30;

/** Checks Node, processors, memory, huge pages, the engine with its binding, and MPI; computes one product on each device. */
export async function diagnose(): Promise<Finding[]> {
  return [
    node(),
    processing(),
    memory(),
    pages(),
    await engine(),
    await graphics("webgpu"),
    await graphics("cuda"),
    mpi(await lookForMpi()),
    finding("longhand", version),
  ];
}

function finding(name: string, value: string, advice?: string | false): Finding {
  return { name, value, ...(advice && { advice }) };
}

function node(): Finding {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const old = major < 20 || (major === 20 && minor < 19);
  const value = `${process.version} on ${process.platform} ${process.arch}`;
  return finding("node", value, old && "Longhand needs Node 20.19 or newer: install it from nodejs.org");
}

function processing(): Finding {
  const { name, available, all } = processors();
  const value = `${available} of ${all}, ${name}`;
  const advice = `this process may use only ${available}: widen its CPU affinity or the container's limit to use all`;
  return finding("processors", value, available < all && advice);
}

function memory(): Finding {
  const { total, free } = machineMemory();
  const value = `${(free / GIB).toFixed(1)} of ${(total / GIB).toFixed(1)} GiB free`;
  const advice = "little is free: close other programs, or train with a smaller `preset`, `batch` or `context`";
  return finding("memory", value, free < 2 * GIB && advice);
}

function pages(): Finding {
  const { mode, active } = hugePages();
  const value =
    mode === undefined ? "none on this system" : `kernel mode ${mode}, ${active ? "on" : "off"} for this process`;
  return finding("huge pages", value, mode !== undefined && !active && pagesAdvice());
}

/** How to switch huge pages on. */
function pagesAdvice(): string {
  const { mode, tunables, wouldHelp } = hugePages();
  if (mode === "never")
    return "matrix products can be 2 to 3 times slower: as root, echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
  return wouldHelp
    ? "as a library, start node with GLIBC_TUNABLES=glibc.malloc.hugetlb=1; the longhand command does it by itself"
    : `GLIBC_TUNABLES is set to "${tunables}": add glibc.malloc.hugetlb=1 to it`;
}

async function engine(): Promise<Finding> {
  const { binding, reason } = chooseBinding("cpu");
  const problem = await problemOf("cpu");
  return finding(
    "engine",
    `onnxruntime-node ${ortVersion}, binding ${binding} (${reason})`,
    problem && `it does not work; reinstall with npm ci (${problem})`,
  );
}

async function graphics(device: "webgpu" | "cuda"): Promise<Finding> {
  const problem = obstacleTo(device) ?? (await problemOf(device));
  return problem === undefined ? finding(device, "works") : { name: device, value: problem, missing: true };
}

/** MPI is needed only to train over several processes: without it nothing is wrong. */
function mpi(probed: readonly Probed[]): Finding {
  const [{ launcher, version }] = probed;
  if (launcher === undefined) {
    const value =
      version === undefined
        ? "not installed: only training over several processes needs it, MPICH (apt-get install mpich) or Open MPI"
        : `${version}, but no mpirun or mpiexec is on the PATH: training over several processes needs one, or srun`;
    return { name: "mpi", value, missing: true };
  }
  const how = probed.map(({ launcher, version = "nothing" }) => `${version} by ${launcher}`).join(", ");
  const failed = probed.find(({ problem }) => problem !== undefined);
  return finding(
    "mpi",
    how,
    failed && `two processes under ${failed.launcher} did not add up an array: ${failed.problem}`,
  );
}
