/**
 * What a setting's JSON schema means to a form: which kind of field it has, what is written in it as a value, its
 * group.
 */
import { commonTrainFields, trainGroups } from "../../src/config/train-groups.ts";
import type { JsonSchema } from "../../src/studio/api.ts";

/** As text; a switch is "true" or "". Fields that are not touched have none. */
export type Written = Readonly<Record<string, string>>;

export type Kind = "switch" | "choice" | "number" | "list" | "text";

export function kindOf(schema: JsonSchema): Kind {
  if (schema.enum !== undefined) return "choice";
  if (schema.type === "boolean") return "switch";
  if (schema.type === "number" || schema.type === "integer") return "number";
  if (schema.type === "array") return "list";
  return "text";
}

/** The settings that were written and are not their defaults anyway. */
export function settingsOf(written: Written, schema: JsonSchema): Record<string, unknown> {
  const fields = schema.properties ?? {};
  const entries = Object.entries(written).flatMap(([name, text]) => {
    const field = fields[name];
    if (field === undefined) return [];
    const value = valueFrom(text, field);
    return value === undefined || value === field.default ? [] : [[name, value] as const];
  });
  return Object.fromEntries(entries);
}

/**
 * Undefined where nothing is written. What is no number where one is wanted stays text: the server says what is
 * wrong.
 */
function valueFrom(text: string, schema: JsonSchema): unknown {
  const kind = kindOf(schema);
  if (kind === "switch") return text === "true";
  if (text.trim() === "") return undefined;
  if (kind === "list") return text.split(/[\s,]+/).filter((part) => part !== "");
  if (kind === "choice") return text;
  const numeric = kind === "number" || (schema.anyOf ?? []).some(({ type }) => type === "number" || type === "integer");
  return numeric && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** What a field says where nothing is written: its default, or what its value looks like. */
export function placeholderOf({ default: otherwise, value }: JsonSchema): string {
  if (otherwise === undefined) return value ?? "";
  return typeof otherwise === "string" ? otherwise : JSON.stringify(otherwise);
}

/** Fields whose names are too short for a form. */
const TITLES: Readonly<Record<string, string>> = {
  out: "Run folder",
  lr: "Learning rate",
  vocab: "Vocabulary",
  from: "Trained model",
  mix: "Mixture",
  clip: "Gradient clipping",
  ema: "Moving average",
  keep: "Checkpoints to keep",
};

/** "evalEvery" as "Eval every". */
export function titleOf(name: string): string {
  if (Object.hasOwn(TITLES, name)) return TITLES[name];
  const words = name.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`);
  return words[0].toUpperCase() + words.slice(1);
}

export interface Group {
  readonly title: string;
  readonly fields: readonly string[];
}

/** The dozen that matter first, then the others by what they are about. A field that is in no group comes last. */
export function groupsOf(schema: JsonSchema): Group[] {
  const left = new Set(Object.keys(schema.properties ?? {}));
  const groups = [{ name: "Training", fields: commonTrainFields }, ...trainGroups].map(({ name, fields }) => ({
    title: name,
    fields: fields.filter((field) => left.delete(field)),
  }));
  return [...groups, { title: "More", fields: [...left] }].filter(({ fields }) => fields.length > 0);
}
