/** The parameters under the adapter of a run, in its folder once, so that they need not be in every checkpoint. */
import { join } from "node:path";
import type { HostTensor } from "../../base/dtype.ts";
import { LonghandError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import { digestOfTensors } from "../../checkpoint/digest.node.ts";
import { readWhole } from "../../checkpoint/read.node.ts";
import { decodeSafetensors, encodeSafetensors } from "../../checkpoint/safetensors.ts";
import type { RunConfig } from "../../config/run-config.ts";

type Tensors = Readonly<Record<string, HostTensor>>;

export const BASE_FILE = "base.safetensors";

/** Writes `base.safetensors` into the folder of a run. */
export function writeBase(run: string, parameters: Tensors): Promise<void> {
  return writeFileAtomic(join(run, BASE_FILE), encodeSafetensors(parameters));
}

/** Throws `checkpoint` for a file that is missing, damaged, or not what this run was trained on. */
export async function readBase(run: string, { from }: Pick<RunConfig, "from">): Promise<Tensors> {
  const file = join(run, BASE_FILE);
  const { tensors } = decodeSafetensors(await readWhole(file), file);
  if (digestOfTensors(tensors) === from?.weights) return tensors;
  throw new LonghandError("checkpoint", `${file}: it does not hold the parameters that the adapter was trained beside`);
}
