/**
 * The ablations of FLASH and FLASH-Quad by name: what the paper varies (Hua, Dai, Liu, Le 2022, section 4) and what the
 * community has added since. Each is a few fields of the model's configuration; several may be combined.
 */
import { LonghandError, nearest } from "../base/errors.ts";
import { type ArchitectureName, hasField, type ModelConfig } from "./config.ts";

export interface Ablation {
  /** What the model's configuration has instead. */
  readonly fields: AblationFields;
  /** One sentence, for help. */
  readonly description: string;
}

export type AblationFields = Partial<
  Pick<
    Extract<ModelConfig, { architecture: "flash" }>,
    "attention" | "attentionFunction" | "gate" | "expansion" | "tokenShift" | "norm" | "chunk"
  >
>;

/** Without gate the hidden map has e + s columns, not 2 e + s: e = 3 d gives the parameters of e = 2 d with it. */
const NO_GATE = { gate: false, expansion: 3 } as const;

const chunkOf = (chunk: number): Ablation => ({ fields: { chunk }, description: `Chunks of ${chunk} tokens.` });

export const ablations = {
  local: { fields: { attention: "local" }, description: "Attention inside chunks alone." },
  global: { fields: { attention: "global" }, description: "Linear attention across chunks alone." },
  softmax: { fields: { attentionFunction: "softmax" }, description: "Softmax instead of squared ReLU." },
  laplace: {
    fields: { attentionFunction: "laplace" },
    description: "Mega's Laplace function instead of squared ReLU.",
  },
  "no-gate": { fields: NO_GATE, description: "No gate; three times the width, for the same parameters." },
  "softmax-no-gate": {
    fields: { ...NO_GATE, attentionFunction: "softmax" },
    description: "Softmax and no gate: single-head attention with one wide value.",
  },
  "token-shift": { fields: { tokenShift: true }, description: "Half of each layer's input from the token before." },
  "layer-norm": { fields: { norm: "layer" }, description: "LayerNorm instead of ScaleNorm." },
  "chunk-64": chunkOf(64),
  "chunk-128": chunkOf(128),
  "chunk-256": chunkOf(256),
  "chunk-512": chunkOf(512),
  "chunk-1024": chunkOf(1024),
} as const satisfies Record<string, Ablation>;

export type AblationName = keyof typeof ablations;

export const ablationNames = Object.keys(ablations) as AblationName[];

/**
 * The fields that these ablations, separated by commas, set together. Throws "usage" for a name that there is not, for two
 * that contradict each other, and for an architecture that has nothing to ablate there.
 */
export function ablationFields(architecture: ArchitectureName, names: string): AblationFields {
  const fields: Record<string, unknown> = {};
  const setBy: Record<string, string> = {};
  for (const name of names.split(",").map((part) => part.trim())) {
    for (const [field, value] of Object.entries(ablationOf(name).fields)) {
      if (!hasEffect(architecture, field)) {
        throw new LonghandError("usage", `ablation ${name}: ${architecture} has no ${field} that could be changed`);
      }
      if (field in fields && fields[field] !== value) {
        throw new LonghandError("usage", `ablation ${setBy[field]},${name}: both set ${field}; choose one of them`);
      }
      fields[field] = value;
      setBy[field] = name;
    }
  }
  return fields;
}

function ablationOf(name: string): Ablation {
  if (Object.hasOwn(ablations, name)) return ablations[name as AblationName];
  const guess = nearest(name, ablationNames);
  throw new LonghandError(
    "usage",
    `ablation ${name}: expected one of ${ablationNames.join(", ")}${guess ? ` (did you mean ${guess}?)` : ""}`,
  );
}

/** FLASH-Quad's attention has no chunks, although its configuration has the field. */
function hasEffect(architecture: ArchitectureName, field: string): boolean {
  return hasField(architecture, field) && !(architecture === "flash-quad" && field === "chunk");
}
