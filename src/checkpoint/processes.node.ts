/**
 * Whether the process that left a file behind still runs. Its number alone does not tell, because numbers are reused,
 * above all in containers: on Linux a process is identified by its number, the boot and its start time within that
 * boot.
 */
import { readFileSync } from "node:fs";

/** Whether a process of this number runs on this machine. A zombie (killed, not yet collected) does not. */
export function isRunning(pid: number): boolean {
  if (process.platform === "linux") {
    const stat = linuxStat(pid);
    if (stat !== undefined) return stat.state !== "Z" && stat.state !== "X";
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // it runs, as another user
  }
}

/** A text that no other process of this machine shares, where the system tells (Linux); otherwise undefined. */
export function processIdentity(pid: number): string | undefined {
  if (process.platform !== "linux") return undefined;
  const stat = linuxStat(pid);
  if (stat === undefined) return undefined;
  try {
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}/${stat.started}`;
  } catch {
    return undefined;
  }
}

/** State and start time from /proc/PID/stat, whose second field is the command in brackets and may hold anything. */
function linuxStat(pid: number): { state: string; started: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" "); // from field 3 of proc(5) on
    return { state: fields[0], started: fields[19] };
  } catch {
    return undefined;
  }
}
