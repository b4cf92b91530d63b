/** Python with PyTorch, for tests that need it: Debian's python3-torch, or any other. Where there is none they are skipped. */
import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";

/** Debian's own interpreter has Debian's python3-torch; another may come first on the path. */
const interpreters = ["python3", "/usr/bin/python3"];

function works(python: string, program: string): boolean {
  try {
    execFileSync(python, ["-c", program], { stdio: "ignore", timeout: 60_000 });
    return true;
  } catch {
    return false;
  }
}

/** Any Python 3, if there is one. */
export const python = interpreters.find((name) => works(name, ""));

/** A Python that has PyTorch, if there is one. */
export const pythonWithTorch = python && interpreters.find((name) => works(name, "import torch"));

/** A Python that runs ONNX graphs and reads tokenizers, if there is one. */
export const pythonWithOnnx = python && interpreters.find((name) => works(name, "import onnxruntime, tokenizers"));

/** Why tests of PyTorch are skipped, for their names. */
export const withoutTorch =
  pythonWithTorch === undefined ? " (skipped: no python3 with torch; Debian: apt-get install python3-torch)" : "";

/** Runs a script with PyTorch and gives what it printed. Leaves no compiled files behind. */
export async function runTorch(args: readonly string[]): Promise<string> {
  if (pythonWithTorch === undefined) throw new Error("python3 with torch is not installed");
  const { stdout } = await promisify(execFile)(pythonWithTorch, ["-B", ...args], { timeout: 240_000 });
  return stdout;
}
