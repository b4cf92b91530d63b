/**
 * The text of a record: that of a field, of a field inside a field (`meta.body`), or of several fields in a template
 * (`{title}\n\n{body}`, in which \n and \t are a new line and a tab, {{ and }} are braces). A list of texts is joined by new lines.
 */
import { LonghandError } from "../../base/errors.ts";
import { noSuchField } from "./records.ts";

type JsonRecord = Readonly<Record<string, unknown>>;

export interface TextOfRecord {
  /** What the text is made of, by the names of fields of the record itself. */
  readonly fields: readonly string[];
  /** Whether it is one field of the record itself. */
  readonly plain: boolean;
  /** `absent` where a field is missing or null. */
  textOf(record: JsonRecord): { readonly text: string } | { readonly problem: string; readonly absent?: boolean };
  /** Throws "data" for a record without the fields, which lists those it has, and for one that has something else there. */
  requireFields(record: JsonRecord, where: string): void;
}

/** Reads `field` as above; throws "usage" for a template that is none. */
export function textOfRecord(field: string): TextOfRecord {
  const parts = field.includes("{") || field.includes("}") ? partsOf(field) : undefined;
  const names = parts === undefined ? [field] : parts.flatMap((part) => ("field" in part ? [part.field] : []));
  const textAt = (record: JsonRecord, name: string) => {
    const value = valueAt(record, name);
    const text = parts === undefined ? asText(value) : asWords(value);
    return text === undefined ? { problem: `has no text in ${name}`, absent: value == null } : { text };
  };
  return {
    fields: [...new Set(names.flatMap((name) => [name, name.split(".")[0]]))],
    plain: parts === undefined && !field.includes("."),
    textOf(record) {
      let text = "";
      for (const part of parts ?? [{ field }]) {
        if ("literal" in part) text += part.literal;
        else {
          const own = textAt(record, part.field);
          if ("problem" in own) return own;
          text += own.text;
        }
      }
      return text.isWellFormed() ? { text } : { problem: "holds half of a surrogate pair" };
    },
    requireFields(record, where) {
      for (const name of names) {
        if ("text" in textAt(record, name)) continue;
        const value = valueAt(record, name);
        if (value === undefined) throw noSuchField(name, namesIn(record), where);
        throw new LonghandError(
          "data",
          `data: ${where} holds ${kindOf(value)} in ${name}, not text; choose another \`field\``,
        );
      }
    },
  };
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

type Part = { readonly literal: string } | { readonly field: string };

function partsOf(template: string): Part[] {
  const parts: Part[] = [];
  for (const [token, name] of template.matchAll(/\{\{|\}\}|\{([^{}]+)\}|\\[nt\\]|[^{}\\]+|[\s\S]/g)) {
    if (name !== undefined) parts.push({ field: name.trim() });
    else if (token === "{" || token === "}") {
      const advice = "expected names of fields in braces, as in {title}, and {{ or }} for a brace";
      throw new LonghandError("usage", `\`field\` ${template}: ${advice}`);
    } else parts.push({ literal: ESCAPES[token] ?? token });
  }
  if (parts.some((part) => "field" in part)) return parts;
  throw new LonghandError(
    "usage",
    `\`field\` ${template}: expected a field in braces, as in {title}, or a name without`,
  );
}

const ESCAPES: Readonly<Record<string, string>> = { "{{": "{", "}}": "}", "\\n": "\n", "\\t": "\t", "\\\\": "\\" };

/** The field of that whole name, else what its parts lead to. */
function valueAt(record: JsonRecord, name: string): unknown {
  if (Object.hasOwn(record, name)) return record[name];
  let at: unknown = record;
  for (const part of name.split(".")) {
    if (!isRecord(at) || !Object.hasOwn(at, part)) return undefined;
    at = at[part];
  }
  return at;
}

function asText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  const texts = Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string");
  return texts ? value.join("\n") : undefined;
}

/** In a template numbers are told too, such as a year. */
function asWords(value: unknown): string | undefined {
  return ["number", "bigint", "boolean"].includes(typeof value) ? String(value) : asText(value);
}

/** title, meta.body, meta.year */
function namesIn(record: JsonRecord): string[] {
  return Object.entries(record).flatMap(([name, value]) =>
    isRecord(value) ? Object.keys(value).map((inner) => `${name}.${inner}`) : [name],
  );
}

const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === "object" && value !== null && !Array.isArray(value);
