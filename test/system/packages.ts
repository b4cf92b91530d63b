/** The packages of the system that some tests need, and whether this machine has them. Without one, its tests are skipped. */
import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

export interface SystemPackage {
  /** As apt-get knows it. */
  readonly name: string;
  readonly tests: string;
  /** Where it lies, if it is there. */
  readonly path: string | undefined;
}

/** The environment variable that names another Chromium. */
const CHROMIUM_VARIABLE = "LONGHAND_CHROMIUM";

/** Chromium's path: LONGHAND_CHROMIUM, or where a system has it. */
export function findChromium(): string | undefined {
  const named = process.env[CHROMIUM_VARIABLE];
  if (named !== undefined && named !== "") return existsSync(named) ? named : undefined;
  return findProgram(["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]);
}

export function systemPackages(): readonly SystemPackage[] {
  return [
    { name: "chromium", tests: "web pages", path: findChromium() },
    { name: "mpich", tests: "trainings in several processes", path: findMpich() },
    { name: "openmpi-bin", tests: "the same under Open MPI", path: findOpenMpi() },
  ];
}

/** MPICH's launcher; its library alone runs a program on one machine at most. */
export function findMpich(): string | undefined {
  return findProgram(["mpiexec.mpich", "mpiexec.hydra"]);
}

export function findOpenMpi(): string | undefined {
  return findProgram(["mpirun.openmpi", "orterun"]);
}

function findProgram(names: readonly string[]): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "" && existsSync(folder));
  for (const folder of folders) {
    const there = new Set(readdirSync(folder));
    const name = names.find((name) => there.has(name));
    if (name !== undefined) return join(folder, name);
  }
  return undefined;
}
