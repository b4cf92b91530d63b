/**
 * The models of the section recall, from the registry: every architecture as it is, and the forms of FLASH that reach
 * farther or less far.
 */
import type { ArchitectureName } from "longhand";
import { architectureByName } from "longhand/models";
import { labelOf, ranked } from "./architectures.ts";
import { RECALL_CONTEXT, recallModel } from "./models.ts";

/** A model of the section recall: an architecture as it is, or with an ablation. */
export interface Variant {
  readonly model: ArchitectureName;
  readonly ablation: string | null;
}

/** Fields that decide how far back a model reaches. */
const REACH = ["attention", "memory", "absolute"];

/** FLASH, Transformer++ and the forms of FLASH that reach otherwise, then the other architectures. */
export function recallVariants(models: readonly ArchitectureName[]): Variant[] {
  const { first, others } = ranked(models);
  const plain = (model: ArchitectureName): Variant => ({ model, ablation: null });
  const forms = models.includes("flash") ? reachingForms("flash") : [];
  return [...first.map(plain), ...forms, ...others.map(plain)];
}

function reachingForms(model: ArchitectureName): Variant[] {
  const asItIs = JSON.stringify(recallModel({ model, context: RECALL_CONTEXT }));
  return Object.entries(architectureByName(model).ablations)
    .filter(([, { fields }]) => Object.keys(fields).every((field) => REACH.includes(field)))
    .map(([ablation]) => ({ model, ablation }))
    .filter((variant) => JSON.stringify(recallModel({ ...variant, context: RECALL_CONTEXT })) !== asItIs);
}

export function variantLabel({
  model,
  ablation,
}: {
  readonly model: string;
  readonly ablation: string | null;
}): string {
  return ablation === null ? labelOf(model) : `${labelOf(model)} ${ablation}`;
}
