/** The control groups (containers) that this process runs in, of versions 2 and 1 of Linux; elsewhere there are none. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface ControlGroup {
  readonly version: 1 | 2;
  /** Its folder, where the files of its limits are. */
  readonly folder: string;
}

/** Those that can limit this, the outermost first. `root`: where the file system begins. */
export function controlGroups(controller: "memory" | "cpu", root = "/"): ControlGroup[] {
  const lines = (readIfThere(join(root, "proc/self/cgroup")) ?? "").split("\n").map((line) => line.split(":"));
  return lines.flatMap(([, controllers, path]): ControlGroup[] => {
    if (path === undefined) return [];
    const at = (mount: string, version: 1 | 2) =>
      ancestors(join(root, mount), path).map((folder) => ({ version, folder }));
    if (controllers === "") return at("sys/fs/cgroup", 2);
    return controllers.split(",").includes(controller) ? at(`sys/fs/cgroup/${controller}`, 1) : [];
  });
}

/** Folders of a control group and of all above it. In a container the root may be the group itself. */
function ancestors(root: string, path: string): string[] {
  const names = path.split("/").filter((name) => name !== "" && name !== "..");
  return [root, ...names.map((_, i) => join(root, ...names.slice(0, i + 1)))];
}

/** The text of a file; undefined where it cannot be read. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
