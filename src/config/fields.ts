/**
 * Fields that several commands have, and how settings are checked. A field is a zod schema with one sentence for help;
 * `meta.value` names the value there. A sentence names other fields in backquotes, as messages do.
 */
import { z } from "zod";
import { LonghandError, quoted } from "../base/errors.ts";
import { describeIssues } from "../base/issues.ts";

export const whole = (least: number) => z.number().int().min(least);

export const dataSpec = () =>
  z.union([z.string().min(1), z.array(z.string().min(1)).min(1)], { error: "expected a path, or several" });

export const dataField = <Field extends z.ZodType>(what: string, field: Field): Field =>
  field
    .describe(
      `${what}: a file (UTF-8 text; .jsonl, .gz, .zst; .parquet), a folder or pattern of them, - for stdin, hub:NAME, or token shards.`,
    )
    .meta({ value: "path..." });

export const textFields = {
  field: z
    .string()
    .min(1)
    .optional()
    .describe("Field of JSON lines, or column of parquet, that holds the text; default: text.")
    .meta({ value: "name" }),
  split: z
    .string()
    .min(1)
    .optional()
    .describe("Part of a published data set: train, validation or test.")
    .meta({ value: "name" }),
  limit: z
    .string()
    .min(1)
    .optional()
    .describe("Of each split at most so much text: 500MB, 10000docs.")
    .meta({ value: "amount" }),
};

export const tokenizerFields = {
  vocab: whole(260).max(30000).default(4096).describe("Tokens of the vocabulary to train."),
  tokenizer: z
    .string()
    .min(1)
    .optional()
    .describe("Existing tokenizer.json to use instead of training one.")
    .meta({ value: "file" }),
};

export const seed = (of: string) => whole(0).default(1).describe(`Seed of ${of}.`);

/** Settings with their defaults. Throws "usage" naming each field that is wrong. */
export function parseSettings<Schema extends z.ZodObject>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new LonghandError("usage", describeIssues(parsed.error, value, quoted));
}
