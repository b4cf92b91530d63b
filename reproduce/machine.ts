/** What figures were measured on. Figures of two machines or versions are never mixed silently. */
import { availableParallelism, cpus, release } from "node:os";
import { deviceNames, version } from "longhand";
import { hugePages, machineMemory, ortVersion } from "longhand/tools";
import { z } from "zod";
import type { ReproduceSettings } from "./settings.ts";

export const identitySchema = z.strictObject({
  cpu: z.string(),
  cores: z.number().int(),
  /** Rounded: the last megabytes differ from boot to boot. */
  memoryGiB: z.number(),
  system: z.string(),
  node: z.string(),
  onnxruntime: z.string(),
  longhand: z.string(),
  hugePages: z.string(),
  threads: z.number().int(),
  /** Absent in older results, which are the CPU's. */
  device: z.enum(deviceNames).default("cpu"),
});

/** Machine, versions, huge pages, threads and device: what must be the same for figures to be compared. */
export type Identity = z.infer<typeof identitySchema>;

const names: Readonly<Record<keyof Identity, string>> = {
  cpu: "processor",
  cores: "processors",
  memoryGiB: "memory in GiB",
  system: "operating system",
  node: "Node",
  onnxruntime: "ONNX Runtime",
  longhand: "Longhand",
  hugePages: "huge pages",
  threads: "threads",
  device: "device",
};

export function identify({ threads, device }: Pick<ReproduceSettings, "threads" | "device">): Identity {
  const pages = hugePages();
  return {
    cpu: cpus()[0]?.model.trim() || "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(machineMemory().total / 2 ** 30),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
    onnxruntime: ortVersion,
    longhand: version,
    hugePages: pages.mode === undefined ? "none" : `${pages.mode}, ${pages.active ? "on" : "off"}`,
    threads,
    device,
  };
}

/** What differs between two identities, as "Node v20.1.0 -> v22.0.0"; empty when nothing does. */
export function differences(before: Identity, now: Identity): string[] {
  return (Object.keys(names) as (keyof Identity)[])
    .filter((key) => before[key] !== now[key])
    .map((key) => `${names[key]} ${before[key]} -> ${now[key]}`);
}

/** An identity in one line, for reports. */
export function describeIdentity(identity: Identity): string {
  const { cpu, cores, memoryGiB, system, node, onnxruntime, longhand, hugePages: pages, threads, device } = identity;
  const where = device === "cpu" ? "" : `computed by ${device} (memory is that of the process, not of the card); `;
  return `${where}${cpu}, ${cores} processors, ${threads} threads, ${memoryGiB} GiB, ${system}; Longhand ${longhand}, Node ${node}, ONNX Runtime ${onnxruntime}; huge pages ${pages}`;
}
