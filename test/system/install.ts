/**
 * `npm run system-packages`, the first part of `npm test`: installs what packages.ts lists by apt-get, where there is one and
 * this process may use it; says in one line what is missing otherwise. It never fails: tests that need a package are skipped.
 */
import { execFileSync } from "node:child_process";
import { systemPackages } from "./packages.ts";

const missing = systemPackages().filter(({ path }) => path === undefined);
if (missing.length > 0) {
  const names = missing.map(({ name }) => name);
  const problem = install(names);
  const left = systemPackages().filter(({ path }) => path === undefined);
  if (left.length === 0) console.log(`Installed for the tests: ${names.join(", ")}.`);
  else {
    const skipped = left.map(({ name, tests }) => `${name} (tests of ${tests} are skipped)`).join(", ");
    const command = `apt-get install ${left.map(({ name }) => name).join(" ")}`;
    console.log(
      `Not installed: ${skipped}: ${problem ?? "they are not where programs are looked for"}. To have them: ${command}`,
    );
  }
}

/** Why it could not be done, or undefined. */
function install(names: readonly string[]): string | undefined {
  if (process.platform !== "linux") return `there is no apt-get on ${process.platform}`;
  if (process.getuid?.() !== 0) return "only root can install packages";
  try {
    aptGet(120, "update");
    aptGet(600, "install", "--yes", "--no-install-recommends", ...names);
    return undefined;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "there is no apt-get";
    return "apt-get did not succeed";
  }
}

function aptGet(seconds: number, ...words: readonly string[]): void {
  execFileSync("apt-get", ["-qq", "-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=15", ...words], {
    stdio: "ignore",
    timeout: seconds * 1000,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
}
