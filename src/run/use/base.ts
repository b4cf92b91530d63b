/** The parameters under the adapter of a run, in its folder once, so that they need not be in every checkpoint. */
import { join } from "node:path";
import type { HostTensor } from "../../base/dtype.ts";
import { LonghandError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import { digestOfTensors } from "../../checkpoint/digest.node.ts";
import { readAtMost } from "../../checkpoint/read.node.ts";
import { decodeSafetensors, encodeSafetensors } from "../../checkpoint/safetensors.ts";
import type { RunConfig } from "../../config/run-config.ts";
import { parameterCount } from "../../models/language-model.ts";

type Tensors = Readonly<Record<string, HostTensor>>;

export const BASE_FILE = "base.safetensors";

/** Writes `base.safetensors` into the folder of a run. */
export function writeBase(run: string, parameters: Tensors): Promise<void> {
  return writeFileAtomic(join(run, BASE_FILE), encodeSafetensors(parameters));
}

/** Throws `checkpoint` for a file that is missing, damaged, or not what this run was trained on. */
export async function readBase(run: string, { from, model }: Pick<RunConfig, "from" | "model">): Promise<Tensors> {
  const file = join(run, BASE_FILE);
  const { tensors } = decodeSafetensors(await readAtMost(file, 2 ** 24 + 4 * parameterCount(model)), file);
  if (digestOfTensors(tensors) === from?.weights) return tensors;
  throw new LonghandError("checkpoint", `${file}: it does not hold the parameters that the adapter was trained beside`);
}
