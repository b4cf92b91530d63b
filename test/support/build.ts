/** Before any test: builds `dist`, which bin/longhand.js runs, when a source file is newer. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export default function setup(): void {
  const built = join(root, "dist", "index.js");
  if (existsSync(built) && newestSource(join(root, "src")) <= statSync(built).mtimeMs) return;
  execFileSync("npm", ["run", "--silent", "build"], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
}

function newestSource(folder: string): number {
  return Math.max(
    0,
    ...readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
      .map((name) => statSync(join(folder, name)).mtimeMs),
  );
}
