/**
 * The memory of a command and of every process that it starts, looked at again and again: from /proc, so on Linux only.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { longhandEnvironment } from "./machine.ts";

const LOOK_MS = 40;
const COMMAND = fileURLToPath(new URL("../bin/longhand.js", import.meta.url));

/** Runs `longhand prepare` of the built package and returns its peak in bytes; null where the system does not tell. */
export async function preparationPeak(data: string, out: string): Promise<number | null> {
  const args = [COMMAND, "prepare", "--data", data, "--out", out, "--vocab", "8192"];
  const child = spawn(process.execPath, args, { env: longhandEnvironment(), stdio: "ignore" });
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, treeBytes(child.pid as number));
  }, LOOK_MS);
  const [status] = await once(child, "close");
  clearInterval(watch);
  if (status !== 0) throw new Error(`longhand prepare --data ${data} ended with status ${status}; npm run build first`);
  return peak === 0 ? null : peak;
}

/** Resident bytes of a process and its descendants; pages that they share count once for each. */
function treeBytes(root: number): number {
  const parents = new Map<number, number>();
  const resident = new Map<number, number>();
  try {
    for (const name of readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const status = readFileSync(`/proc/${name}/status`, "utf8");
        parents.set(Number(name), Number(/^PPid:\s*(\d+)/m.exec(status)?.[1]));
        resident.set(Number(name), 1024 * Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1] ?? 0));
      } catch {
        // It has just ended.
      }
    }
  } catch {
    return 0;
  }
  const belongs = (id: number | undefined): boolean => id === root || (!!id && belongs(parents.get(id)));
  let sum = 0;
  for (const [id, bytes] of resident) if (belongs(id)) sum += bytes;
  return sum;
}
