/** What this machine offers Longhand, and what to do about each problem found. */
import { availableParallelism, cpus } from "node:os";
import { messageOf } from "../../base/errors.ts";
import { program } from "../../graph/program.ts";
import { input } from "../../graph/tensor.ts";
import { hugePages } from "../../runtime/huge-pages.node.ts";
import { ortNodeEngine, ortProviders, ortVersion } from "../../runtime/ort-node.ts";
import { machineMemory } from "./available-memory.ts";
import { version } from "./version.ts";

export interface Finding {
  readonly name: string;
  readonly value: string;
  /** What is wrong and what to do; absent when all is well. */
  readonly advice?: string;
}

const GIB = 2 ** 30;

/** Checks Node, processors, memory, huge pages and the engine's providers, and computes one product. */
export async function diagnose(): Promise<Finding[]> {
  return [node(), processors(), memory(), pages(), await engine(), providers(), { name: "longhand", value: version }];
}

function node(): Finding {
  const value = `${process.version} on ${process.platform} ${process.arch}`;
  const [major, minor] = process.versions.node.split(".").map(Number);
  const fits = major > 20 || (major === 20 && minor >= 19);
  return fits
    ? { name: "node", value }
    : { name: "node", value, advice: "Longhand needs Node 20.19 or newer: install it from nodejs.org" };
}

function processors(): Finding {
  const available = availableParallelism();
  const all = cpus().length;
  const value = `${available} of ${all}, ${cpus()[0]?.model.trim() ?? "unknown"}`;
  return available < all
    ? {
        name: "processors",
        value,
        advice: `this process may use only ${available}: widen its CPU affinity or the container's limit to use all`,
      }
    : { name: "processors", value };
}

function memory(): Finding {
  const { total, free } = machineMemory();
  const value = `${(free / GIB).toFixed(1)} of ${(total / GIB).toFixed(1)} GiB free`;
  return free < 2 * GIB
    ? {
        name: "memory",
        value,
        advice: "little is free: close other programs, or train with a smaller `preset`, `batch` or `context`",
      }
    : { name: "memory", value };
}

function pages(): Finding {
  const { mode, tunables, active, wouldHelp } = hugePages();
  const name = "huge pages";
  if (mode === undefined) return { name, value: "none on this system" };
  const value = `kernel mode ${mode}, ${active ? "on" : "off"} for this process`;
  if (active) return { name, value };
  if (mode === "never") {
    return {
      name,
      value,
      advice:
        "matrix products can be 2 to 3 times slower: as root, echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
    };
  }
  if (wouldHelp)
    return {
      name,
      value,
      advice:
        "as a library, start node with GLIBC_TUNABLES=glibc.malloc.hugetlb=1; the longhand command does it by itself",
    };
  return { name, value, advice: `GLIBC_TUNABLES is set to "${tunables}": add glibc.malloc.hugetlb=1 to it` };
}

async function engine(): Promise<Finding> {
  const name = "engine";
  const value = `onnxruntime-node ${ortVersion}`;
  const runtime = ortNodeEngine({ threads: availableParallelism() });
  try {
    const x = input("x", [2, 2]);
    const square = await runtime.compile(program("doctor", { y: x.matmul(x) }));
    const { y } = await square.run({ x: Float32Array.of(1, 2, 3, 4) });
    const right = [7, 10, 15, 22].every((n, i) => y[i] === n);
    return right
      ? { name, value }
      : { name, value, advice: `it computed a wrong product (${[...y].join(", ")}): reinstall with npm ci` };
  } catch (error) {
    return { name, value, advice: `it does not run: ${messageOf(error)}` };
  } finally {
    await runtime.close();
  }
}

function providers(): Finding {
  const names = ortProviders();
  return { name: "providers", value: names.join(", ") };
}
