/** The PyTorch module of an export: `longhand_model.py`, which stands beside this file here and in the built package. */
import { readFileSync } from "node:fs";

/** What an export calls it. */
export const TORCH_MODULE = "longhand_model.py";

/** Its text, which is the same for every model: it reads the configuration and the weights that stand beside it. */
export function torchModule(): string {
  return readFileSync(new URL(TORCH_MODULE, import.meta.url), "utf8");
}
