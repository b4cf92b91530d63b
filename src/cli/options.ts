/** Command-line flags made from a settings schema, so that help, defaults and checks cannot fall behind it. */
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { z } from "zod";
import { LonghandError, messageOf, nearest } from "../base/errors.ts";
import { flagOf, withFlags } from "../config/flags.ts";
import { showLast } from "./help.ts";

/** Adds one flag for every field of the schemas. Values are checked later, by the schema, all together. */
export function addFlags(command: Command, ...schemas: readonly z.ZodObject[]): void {
  for (const { shape } of schemas) {
    for (const [name, field] of Object.entries(shape)) command.addOption(optionOf(name, field as z.ZodType));
  }
}

export interface FlagGroups {
  /** Every field of the schema, in the order of the help. */
  readonly groups: readonly { readonly name: string; readonly fields: readonly string[] }[];
  /** Fields that the help shows without being asked for all. */
  readonly common: readonly string[];
}

/** Adds one flag for every field of the schema, in groups. */
export function addFlagsInGroups(command: Command, { shape }: z.ZodObject, { groups, common }: FlagGroups): void {
  for (const { name, fields } of groups) {
    for (const field of fields) {
      const option = optionOf(field, shape[field] as z.ZodType).helpGroup(`${name}:`);
      command.addOption(common.includes(field) ? option : showLast(option));
    }
  }
}

function optionOf(name: string, field: z.ZodType): Option {
  const { description = "", value } = z.globalRegistry.get(field) ?? {};
  let inner = field;
  let fallback: unknown;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault) {
    if (inner instanceof z.ZodDefault) fallback = inner.def.defaultValue;
    inner = inner.unwrap() as z.ZodType;
  }
  const one = inner instanceof z.ZodArray ? (inner.element as z.ZodType) : inner;
  const shown = typeof value === "string" ? value : valueName(one);
  const hint = fallback === undefined || fallback === false ? "" : ` (default: ${[fallback].flat().join(" ")})`;
  const option = new Option(flagOf(name) + (shown === "" ? "" : ` <${shown}>`), withFlags(description) + hint);
  if (inner instanceof z.ZodArray) option.argParser(listOf(isNumeric(one) ? numberOrText : String));
  else if (option.variadic) option.argParser(oneOrMore);
  else if (isNumeric(one)) option.argParser(numberOrText);
  return option;
}

/** Whether a value may be a number. */
function isNumeric(field: z.ZodType): boolean {
  return (
    field instanceof z.ZodNumber ||
    (field instanceof z.ZodUnion && field.options.some((own) => own instanceof z.ZodNumber))
  );
}

/** What stands for the value in help; nothing for a flag without one. */
function valueName(field: z.ZodType): string {
  if (field instanceof z.ZodBoolean) return "";
  if (field instanceof z.ZodEnum) return field.options.join("|");
  return field instanceof z.ZodNumber ? "n" : "text";
}

/** The values of a flag whose setting is a list. */
function listOf<Value>(read: (text: string) => Value) {
  return (text: string, before: readonly Value[] = []) => [...before, read(text)];
}

/** The values of a flag that takes one or several, such as a pattern that the shell has expanded; one is no list. */
function oneOrMore(text: string, before: string | string[] | undefined): string | string[] {
  return before === undefined ? text : [before, text].flat();
}

/** A number where the text is one; other text stays, for the schema to name in its message. */
export function numberOrText(text: string): number | string {
  const number = Number(text);
  return text.trim() !== "" && Number.isFinite(number) ? number : text;
}

/** Reads --config: a JSON object whose names are flags (eval-every or evalEvery). */
export function readSettingsFile(path: string, fields: readonly string[]): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new LonghandError("usage", `--config ${path}: ${messageOf(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new LonghandError("usage", `--config ${path}: expected a JSON object of flags`);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, setting]) => {
      const field = key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
      if (fields.includes(field)) return [field, setting];
      const guess = nearest(field, fields);
      throw new LonghandError(
        "usage",
        `--config ${path}: unknown flag ${key}${guess ? ` (did you mean ${guess}?)` : ""}`,
      );
    }),
  );
}

/** Collects --set key=value; a value that is JSON is taken as such, everything else as text. */
export function collectAssignment(text: string, previous: Record<string, unknown> = {}): Record<string, unknown> {
  const at = text.indexOf("=");
  if (at < 1) throw new LonghandError("usage", `--set ${text}: expected key=value, for example model.expansion=3`);
  const [key, value] = [text.slice(0, at), text.slice(at + 1)];
  try {
    return { ...previous, [key]: JSON.parse(value) };
  } catch {
    return { ...previous, [key]: value };
  }
}
