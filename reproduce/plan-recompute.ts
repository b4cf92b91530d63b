/**
 * Whether a model is trained with recomputation of activations: only where it does not fit into memory without, since
 * it costs one more forward pass.
 */
import type { ArchitectureName } from "longhand";
import type { Recompute } from "longhand/graph";
import type { Costs } from "./costs.ts";

interface RecomputeChoice {
  readonly recompute: Recompute;
  /** Null for "none". */
  readonly recomputeReason: string | null;
}

/** A model that seems to need up to so many times the memory, with recomputation, is tried all the same. */
const WORTH_TRYING = 1.1;

/** Undefined where the model fits neither way. */
export function chooseRecompute(
  { costs, memory }: { readonly costs: Costs; readonly memory: number },
  model: ArchitectureName,
  context: number,
  tokens: number,
): RecomputeChoice | undefined {
  const bytes = (recompute: Recompute) => costs.bytes(model, context, tokens, recompute);
  if (bytes("none") <= memory) return { recompute: "none", recomputeReason: null };
  if (bytes("layers") > WORTH_TRYING * memory) return undefined;
  return { recompute: "layers", recomputeReason: "by the estimate it does not fit into memory without" };
}
