/** Before any test: builds `dist`, which bin/longhand.js and the pages run, when anything that it is made of is newer. */
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
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
      .map(({ parentPath, name }) => join(parentPath, name)),
  );
  const settings = readdirSync(root).filter((name) => /^(package(-lock)?|tsconfig.*|vite\..*)\.(json|ts)$/.test(name));
  return Math.max(...[...files, ...settings.map((name) => join(root, name))].map((path) => statSync(path).mtimeMs));
}
