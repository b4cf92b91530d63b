/**
 * Whether a model is trained with recomputation of activations: where it does not fit into memory without, or where it is
 * faster with it (attention in blocks of queries then leaves out the future half of the square), so that no model is
 * measured slower than it can be.
 */
import type { Recompute } from "../graph/recompute.ts";
import type { ArchitectureName } from "../models/config.ts";
import type { Costs } from "./costs.ts";

export interface RecomputeChoice {
  readonly recompute: Recompute;
  /** Null for "none". */
  readonly recomputeReason: string | null;
}

/** A model that seems to need up to so many times the memory, with recomputation, is tried all the same. */
const WORTH_TRYING = 1.1;
/** Estimates are not exact: recomputation must promise this much. */
const FASTER = 0.95;

/** Undefined where the model fits neither way. */
export function chooseRecompute(
  { costs, memory }: { readonly costs: Costs; readonly memory: number },
  model: ArchitectureName,
  context: number,
  tokens: number,
): RecomputeChoice | undefined {
  const bytes = (recompute: Recompute) => costs.bytes(model, context, tokens, recompute);
  const seconds = (recompute: Recompute) => costs.step(model, context, tokens, recompute);
  if (bytes("none") <= memory) {
    const faster = seconds("layers") < FASTER * seconds("none") && bytes("layers") <= memory;
    return faster
      ? { recompute: "layers", recomputeReason: "by the estimate it is faster so" }
      : { recompute: "none", recomputeReason: null };
  }
  if (bytes("layers") > WORTH_TRYING * memory) return undefined;
  return { recompute: "layers", recomputeReason: "by the estimate it does not fit into memory without" };
}
