/** How many processors a process may use, in control groups that are laid out as Linux does. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { availableProcessors } from "./processors.node.ts";

const all = availableParallelism();
const folder = mkdtempSync(join(tmpdir(), "longhand-groups-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function rootWith(name: string, files: Readonly<Record<string, string>>): string {
  const root = join(folder, name);
  mkdirSync(root, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  }
  return root;
}

const limits: [string, Readonly<Record<string, string>>, number][] = [
  ["nothing to read", {}, all],
  ["version 2 without a limit", { "proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "max 100000" }, all],
  ["version 2", { "proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "100000 100000" }, 1],
  ["a part of a processor", { "proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "50000 100000" }, 1],
  ["one and a half", { "proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "150000 100000" }, 1],
  ["more than there are", { "proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "99900000 100000" }, all],
  ["a group above", { "proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/cpu.max": "100000 100000" }, 1],
  [
    "version 1",
    {
      "proc/self/cgroup": "4:memory:/m\n3:cpu,cpuacct:/c",
      "sys/fs/cgroup/cpu/c/cpu.cfs_quota_us": "200000",
      "sys/fs/cgroup/cpu/c/cpu.cfs_period_us": "200000",
    },
    1,
  ],
  [
    "version 1 without a limit",
    {
      "proc/self/cgroup": "3:cpu,cpuacct:/c",
      "sys/fs/cgroup/cpu/c/cpu.cfs_quota_us": "-1",
      "sys/fs/cgroup/cpu/c/cpu.cfs_period_us": "100000",
    },
    all,
  ],
];

it.each(limits)("%s", (name, files, expected) => {
  expect(availableProcessors(rootWith(name.replaceAll(" ", "-"), files))).toBe(expected);
});

it("is within what this machine has", () => {
  expect(availableProcessors()).toBeGreaterThanOrEqual(1);
  expect(availableProcessors()).toBeLessThanOrEqual(all);
});
