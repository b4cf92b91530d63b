/**
 * Calls of the C library that Node 20 does not offer: ending at once, and becoming another program. They need koffi, which
 * may be missing.
 */
import { createRequire } from "node:module";

interface Library {
  func(name: string, result: string, types: readonly string[]): (...args: unknown[]) => number;
}

/** The functions of this program itself, of which the C library is a part. */
function program(): Library | undefined {
  try {
    const koffi = createRequire(import.meta.url)("koffi") as { load(path: null): Library };
    return koffi.load(null);
  } catch {
    return undefined;
  }
}

/** Ends this process without waiting for its threads, one of which may be stuck in a call. */
export function exitNow(status: number): never {
  program()?.func("_exit", "void", ["int"])(status);
  process.kill(process.pid, "SIGKILL");
  throw new Error("a process outlived SIGKILL");
}

export interface Replacement {
  readonly file: string;
  /** Its name first. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Open files that it is to find as this process does, beside the standard ones. */
  readonly files: readonly number[];
}

const F_SETFD = 2;

/** Makes this process that program, which keeps its number and place. Returns only where that is not possible. */
export function becomeProgram({ file, args, environment, files }: Replacement): void {
  const library = program();
  if (library === undefined) return;
  const setFlags = library.func("fcntl", "int", ["int", "int", "int"]); // Node marks what it inherits to be closed
  for (const each of [0, 1, 2, ...files]) setFlags(each, F_SETFD, 0);
  const texts = Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : `${name}=${value}`));
  library.func("execve", "int", ["str", "const char **", "const char **"])(file, [...args, null], [...texts, null]);
}
