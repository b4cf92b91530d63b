/** Before any test: builds `dist`, which bin/longhand.js runs, when a source file is newer. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export default function setup(): void {
  const built = join(root, "dist", "command", "main.js"); // made last
  if (existsSync(built) && newestSource() <= statSync(built).mtimeMs) return;
  execFileSync("npm", ["run", "--silent", "build"], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
}

function newestSource(): number {
  const files = ["src", "reproduce", "studio"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(root, folder, name)),
  );
  const sources = files.filter((path) => /\.(tsx?|py|css|html|svg)$/.test(path) && !path.endsWith(".test.ts"));
  return Math.max(0, ...sources.map((path) => statSync(path).mtimeMs));
}
