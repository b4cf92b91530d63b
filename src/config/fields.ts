/**
 * Fields that several commands have, and how settings are checked. A field is a zod schema with one sentence for help;
 * `meta.value` names the value there. A sentence names other fields in backquotes, as messages do.
 */
import { z } from "zod";
import { LonghandError, quoted } from "../base/errors.ts";
import { describeIssues } from "../base/issues.ts";

export function whole(least: number) {
  const error = `expected a whole number of at least ${least}`;
  const kind = ({ code }: { readonly code?: string }) => (code === "invalid_type" ? error : undefined);
  return z.number({ error: kind }).int({ error }).min(least, { error });
}

/** Text that may be left out, called `value` in help. */
export const optionalText = (value: string, description: string) =>
  z.string().min(1).optional().describe(description).meta({ value });

export const dataSpec = () =>
  z.union([z.string().min(1), z.array(z.string().min(1)).min(1)], { error: "expected a path, or several" });

export const dataField = <Field extends z.ZodType>(what: string, field: Field): Field =>
  field
    .describe(
      `${what}: a file (UTF-8 text; .jsonl, .gz, .zst; .parquet), a folder or pattern of them, - for stdin, hub:NAME, or token shards.`,
    )
    .meta({ value: "path..." });

export const textFields = {
  field: optionalText(
    "name",
    "Field of JSON lines, or column of parquet, that holds the text: text; meta.body inside another; or several, as in '{title}\\n\\n{body}'; default: text.",
  ),
  split: optionalText("name", "Part of a published data set: train, validation or test."),
  limit: optionalText("amount", "Of each split at most so much text: 500MB, 10000docs."),
};

export const tokenizerFields = {
  vocab: whole(260).max(30000).default(4096).describe("Tokens of the vocabulary to train."),
  tokenizer: optionalText("file", "Existing tokenizer.json to use instead of training one."),
};

export const seed = (of: string) => whole(0).default(1).describe(`Seed of ${of}.`);

/** Settings with their defaults. Throws "usage" naming each field that is wrong. */
export function parseSettings<Schema extends z.ZodObject>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new LonghandError("usage", describeIssues(parsed.error, value, quoted));
}

type Saved<Fields> = {
  [Name in keyof Fields]: Fields[Name] extends z.ZodDefault<infer Inner extends z.ZodType> ? Inner : Fields[Name];
};

/** The same fields as a saved configuration has them: complete, so that defaults are for those that `cameLater` only. */
export function saved<Fields extends z.ZodRawShape>(fields: Fields): Saved<Fields> {
  const entries = Object.entries(fields).map(([name, field]) => {
    return [name, field instanceof z.ZodDefault && !field.meta()?.later ? field.unwrap() : field];
  });
  return Object.fromEntries(entries);
}

/** A field that the first configurations do not have: they mean its default. */
export function cameLater<Field extends z.ZodDefault>(field: Field): Field {
  return field.meta({ ...field.meta(), later: true });
}

/** The values of a group of fields. */
export function pick<Values extends object, Name extends keyof Values>(
  values: Values,
  fields: Readonly<Record<Name, unknown>>,
): Pick<Values, Name> {
  return Object.fromEntries(Object.keys(fields).map((name) => [name, values[name as Name]])) as Pick<Values, Name>;
}
