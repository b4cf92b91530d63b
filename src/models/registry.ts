/** The architectures by name: those of the package, and those that a user has added. */
import { z } from "zod";
import { LonghandError, nearest } from "../base/errors.ts";
import type { Architecture, ModelConfig } from "./architecture.ts";
import { combiner } from "./architectures/combiner.ts";
import { flash } from "./architectures/flash.ts";
import { flashQuad } from "./architectures/flash-quad.ts";
import { mcTfmPlusPlus } from "./architectures/mc-tfm-plus-plus.ts";
import { performer } from "./architectures/performer.ts";
import { transformer } from "./architectures/transformer.ts";
import { transformerPlus } from "./architectures/transformer-plus.ts";
import { transformerPlusPlus } from "./architectures/transformer-plus-plus.ts";

const builtIn = [
  flash,
  flashQuad,
  transformer,
  transformerPlus,
  transformerPlusPlus,
  mcTfmPlusPlus,
  performer,
  combiner,
] as const;

/** The only state in this folder: `registerArchitecture` adds to it, for the whole process. */
const registered = new Map<string, Architecture>(builtIn.map((record) => [record.name, record]));

/** In order of registration, those of the package first. */
export function architectures(): readonly Architecture[] {
  return [...registered.values()];
}

/** The name of any registered architecture, as in --model. */
export type ArchitectureName = string;

export function architectureNames(): readonly ArchitectureName[] {
  return [...registered.keys()];
}

/**
 * Adds an architecture made by `defineArchitecture`: from then on this process can configure, train, decode and compare
 * it by its name. Throws "usage" for a name that is taken or not fit for a command line.
 */
export function registerArchitecture(record: Architecture): void {
  const { name } = record;
  if (!/^[a-z][a-z0-9+.-]*$/.test(name))
    throw new LonghandError("usage", `architecture ${JSON.stringify(name)}: expected a name of a-z, 0-9, +, . and -`);
  if (registered.has(name)) throw new LonghandError("usage", `architecture ${name}: there is one of this name already`);
  registered.set(name, record);
}

/** Throws "usage" for a name that is not registered. */
export function architectureByName(name: string): Architecture {
  const found = registered.get(name);
  if (found) return found;
  const guess = nearest(name, architectureNames());
  const expected = `expected one of ${architectureNames().join(", ")}`;
  throw new LonghandError("usage", `architecture ${name}: ${expected}${guess ? ` (did you mean ${guess}?)` : ""}`);
}

export function architectureOf({ architecture }: ModelConfig): Architecture {
  return architectureByName(architecture);
}

/** Whether an architecture has this field, its own or one that all have. */
export function hasField(architecture: string, field: string): boolean {
  return Object.hasOwn(architectureByName(architecture).fields, field) || !ownFieldNames().has(field);
}

/** The fields that only some architectures have. */
export function ownFieldNames(): ReadonlySet<string> {
  return new Set(architectures().flatMap(({ fields }) => Object.keys(fields)));
}

/** The name of an architecture that is registered at the time of the check. */
export const architectureNameSchema = z.string().check((payload) => {
  const values = [...architectureNames()];
  if (values.includes(payload.value)) return;
  payload.issues.push({ code: "invalid_value", values, input: payload.value });
});
