/** Requests checked against their schemas. What is wrong with one is said in one sentence. */
import { z } from "zod";
import { describeIssues } from "../../base/issues.ts";
import { RequestError } from "../../service/failure.ts";

/** Throws 400 naming each field that is wrong. */
export function checked<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  throw new RequestError(400, describeIssues(parsed.error, value));
}

const run = z.string().min(1).max(1000);
const byte = z.coerce.number().int().min(0);
const top = z.number().int().min(1).max(100).default(10);
const LONGEST_TEXT = 64 << 20;

export const runQuery = z.strictObject({ run });

export const metricsQuery = z.strictObject({ run, from: byte.optional(), generation: z.string().max(100).optional() });

export const differencesQuery = z.strictObject({
  run: z.union([z.array(run), run.transform((one) => [one])]).pipe(z.array(run).min(1).max(200)),
});

export const outputQuery = z.strictObject({ training: z.string().max(100), from: z.coerce.number().int().optional() });

export const textBody = z.strictObject({ run, prompt: z.string().max(LONGEST_TEXT), top });

const text = z.string().max(100);

export const writeBody = z.strictObject({
  text,
  keep: z.number().int().min(0).optional(),
  token: z.number().int().min(0).optional(),
  count: z.number().int().min(0).max(100_000).default(0),
  top,
  seed: z.number().int().min(0).default(1),
  temperature: z.number().optional(),
  topK: z.number().optional(),
  topP: z.number().optional(),
  minP: z.number().optional(),
  typicalP: z.number().optional(),
  repetitionPenalty: z.number().optional(),
});

export const attentionBody = z.strictObject({ text, position: z.number().int().min(0) });

export const fillBody = z.strictObject({
  run,
  text: z.string().max(LONGEST_TEXT),
  topK: z.number().int().min(1).max(100).default(10),
});

export const scoreBody = z.strictObject({ run, text: z.string().min(1).max(LONGEST_TEXT) });
