/** Ablations by name: variants of an architecture that set a few fields of its configuration. They combine. */
import { LonghandError, nearest } from "../base/errors.ts";
import type { Ablation } from "./architecture.ts";
import { flashAblations } from "./architectures/flash.ts";
import { architectureByName } from "./registry.ts";

/** The ablations of FLASH: what the paper varies, and what the community has added since. */
export const ablations: Readonly<Record<AblationName, Ablation>> = flashAblations;

export type AblationName = keyof typeof flashAblations;

export const ablationNames = Object.keys(flashAblations) as readonly AblationName[];

/**
 * The fields that the given ablations, names separated by commas, set together. Throws "usage" for a name that the
 * architecture does not have, and for two that contradict each other.
 */
export function ablationFields(architecture: string, names: string): Readonly<Record<string, unknown>> {
  const fields: Record<string, unknown> = {};
  const setBy: Record<string, string> = {};
  for (const name of names.split(",").map((part) => part.trim())) {
    for (const [field, value] of Object.entries(ablationOf(architecture, name).fields)) {
      if (field in fields && fields[field] !== value) {
        throw new LonghandError("usage", `ablation ${setBy[field]},${name}: both set ${field}; choose one of them`);
      }
      fields[field] = value;
      setBy[field] = name;
    }
  }
  return fields;
}

function ablationOf(architecture: string, name: string): Ablation {
  const own = architectureByName(architecture).ablations;
  if (Object.hasOwn(own, name)) return own[name];
  const names = Object.keys(own);
  if (names.length === 0) throw new LonghandError("usage", `ablation ${name}: ${architecture} has no ablations`);
  const guess = nearest(name, names);
  const expected = `expected one of ${names.join(", ")} for ${architecture}`;
  throw new LonghandError("usage", `ablation ${name}: ${expected}${guess ? ` (did you mean ${guess}?)` : ""}`);
}
