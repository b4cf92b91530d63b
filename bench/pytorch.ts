/** The PyTorch side of the comparison: whether it can be had here, and how it is started. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { ProcessOptions } from "../reproduce/process.ts";
import { pytorchEnvironment } from "./machine.ts";

/** What worker.py says when it is ready. */
export interface PytorchReady {
  readonly torch: string;
  readonly threads: number;
  readonly blas: string | null;
}

/** Debian's own interpreter has Debian's python3-torch; elsewhere the first python3 of the path. */
const PYTHON = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
const SCRIPT = fileURLToPath(new URL("pytorch/worker.py", import.meta.url));

/** Why PyTorch cannot be measured here, or undefined when it can. */
export async function pytorchMissing(): Promise<string | undefined> {
  try {
    await promisify(execFile)(PYTHON, ["-c", "import torch"], { env: pytorchEnvironment({ hugePages: false }) });
    return undefined;
  } catch {
    return `${PYTHON} has no torch (Debian: apt install python3-torch)`;
  }
}

/** Why this PyTorch would be no fair opponent, or undefined when it is one. */
export function pytorchHandicap({ blas }: PytorchReady): string | undefined {
  const file = blas?.slice(blas.lastIndexOf("/") + 1) ?? "";
  if (!/^lib(blas|cblas)\.so\.3\.\d/.test(file)) return undefined;
  return `its matrix products run on the reference BLAS (${file}), tens of times slower than OpenBLAS (Debian: apt install libopenblas0)`;
}

export function pytorchWorker(file: string, { hugePages }: { hugePages: boolean }): ProcessOptions {
  return {
    name: hugePages ? "PyTorch with huge pages" : "PyTorch",
    command: PYTHON,
    args: ["-B", SCRIPT, file],
    env: pytorchEnvironment({ hugePages }),
  };
}
