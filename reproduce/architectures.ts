/** The architectures of a comparison: what is asked of their records, and which of them come first. */
import { type AblationName, type ArchitectureName, ablationNames, ablations, type PresetName, presets } from "longhand";
import { architectureByName, architectures, type Look } from "longhand/models";

/** What speeds and perplexities are compared with. */
export const REFERENCE = "transformer++";

/** The two that everything is about: where not all fit into the budget or the memory, these do. */
export const FIRST_MODELS: readonly ArchitectureName[] = ["flash", REFERENCE];

/** The others of the package, the most telling first. */
const FURTHER = ["flash-quad", "transformer", "mc-tfm++", "transformer+", "performer", "combiner"];

interface Ranked {
  /** FLASH and Transformer++; where neither is compared, all. */
  readonly first: readonly ArchitectureName[];
  /** Those that a user has added before those of the package. */
  readonly others: readonly ArchitectureName[];
}

export function ranked(models: readonly ArchitectureName[]): Ranked {
  const chosen = FIRST_MODELS.filter((name) => models.includes(name));
  const first = chosen.length > 0 ? chosen : models;
  const others = models.filter((name) => !first.includes(name));
  return { first, others: others.sort((a, b) => FURTHER.indexOf(a) - FURTHER.indexOf(b)) };
}

/** Whether time and memory a token grow with the context. */
export function isQuadratic(model: ArchitectureName): boolean {
  return architectureByName(model).quadratic;
}

/** Whose learning rate a model takes where its own was not looked for. */
export function kinOf(model: ArchitectureName): ArchitectureName {
  return model.startsWith("flash") ? "flash" : REFERENCE;
}

/** As the report names it; a report of earlier results may be of an architecture that is not registered here. */
export function labelOf(model: string): string {
  return recordOf(model)?.label ?? model;
}

const PLAIN: Look = { light: "currentColor", dark: "currentColor", symbol: "circle", dashes: "none" };

export function lookOf(model: string): Look {
  return recordOf(model)?.look ?? PLAIN;
}

const recordOf = (model: string) => architectures().find(({ name }) => name === model);

/** The paper's questions. */
const FIRST_ABLATIONS: readonly AblationName[] = [
  "local",
  "global",
  "no-gate",
  "softmax",
  "softmax-no-gate",
  "paper",
  "layer-norm",
  "chunk-512",
  "chunk-64",
];

/** The ablations of FLASH that change anything at this size and context, the paper's questions first. */
export function ablationsAt(preset: PresetName, context: number): AblationName[] {
  const own = Math.min(presets[preset].chunk, context);
  return [...new Set([...FIRST_ABLATIONS, ...ablationNames])].filter((name) => {
    const { chunk } = ablations[name].fields as { chunk?: number };
    return chunk === undefined || (chunk !== own && chunk <= context);
  });
}
