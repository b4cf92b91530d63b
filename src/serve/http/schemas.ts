/**
 * The bodies of requests. Fields have OpenAI's names; those of its own that this server has in addition have the names that
 * other servers of local models use. A field that is not here is refused: to ignore it would answer another question.
 */
import { z } from "zod";
import { describeIssues } from "../../base/issues.ts";
import { RequestError } from "../../service/failure.ts";

const text = z.string();
const ids = z.array(z.int().min(0)).min(1);
const INPUT = "expected a text, a list of tokens, or a list of either";
const input = z.union([text, ids, z.array(text).min(1), z.array(ids).min(1)], { error: INPUT });
const name = z.string().min(1).max(300);
const SESSION = "expected true for a new session, or the id of one";
const sessionId = z.string().regex(/^sess_[A-Za-z0-9_-]{32}$/, { error: SESSION });
/** What OpenAI's clients send along and no model needs. */
const user = z.string().optional();

export const MOST_STOPS = 4;
export const MOST_LOGPROBS = 20;
/** Prompts of one request, or its inputs. */
export const MOST_INPUTS = 256;

const unsupported = (why: string) => z.undefined({ error: why }).optional();

export const completionSchema = z.strictObject({
  model: name,
  prompt: z.union([...input.options, z.null()], { error: INPUT }).optional(),
  max_tokens: z.int().min(0).nullish(),
  temperature: z.number().min(0).max(100).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  n: z.int().min(1).nullish(),
  best_of: z.int().min(1).nullish(),
  stop: z
    .union([text, z.array(text).max(MOST_STOPS), z.null()], { error: `expected up to ${MOST_STOPS} texts` })
    .optional(),
  seed: z.int().nullish(),
  logit_bias: z.record(z.string().regex(/^\d{1,9}$/), z.number().min(-100).max(100)).nullish(),
  logprobs: z.int().min(0).max(MOST_LOGPROBS).nullish(),
  echo: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() })
    .nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  suffix: unsupported("this server has no suffix: a model that fills in blanks has /fill"),
  user,
  top_k: z.int().min(1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  typical_p: z.number().gt(0).max(1).nullish(),
  repetition_penalty: z.number().gt(0).max(100).nullish(),
  repetition_window: z.int().min(1).max(4096).nullish(),
  session: z.union([z.literal(true), sessionId], { error: SESSION }).nullish(),
});

export type CompletionBody = z.output<typeof completionSchema>;

export const embeddingSchema = z.strictObject({
  model: name,
  input,
  encoding_format: z.enum(["float", "base64"]).nullish(),
  dimensions: unsupported("this server returns whole vectors, of the model's width"),
  user,
});

export const scoreSchema = z.strictObject({
  model: name,
  input,
  tokens: z.boolean().nullish(),
});

export const fillSchema = z.strictObject({
  model: name,
  input: text,
  top_k: z.int().min(1).max(1000).nullish(),
});

/** Of a sentence that repeats what was sent, so much. */
const MOST_MESSAGE = 500;

/** The body, or the first thing that is wrong with it as a 400. */
export function parseBody<Schema extends z.ZodObject>(schema: Schema, body: unknown): z.output<Schema> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const unknown = issue.code === "unrecognized_keys" ? issue.keys[0] : undefined;
  const param = unknown ?? (issue.path.length === 0 ? null : String(issue.path[0]));
  const message = describeIssues(parsed.error, body);
  throw new RequestError(400, message.length > MOST_MESSAGE ? `${message.slice(0, MOST_MESSAGE)}…` : message, {
    param,
    code: unknown === undefined ? null : "unknown_parameter",
  });
}

/** One input or several, as several. */
export function inputsOf(given: z.output<typeof input>, param: string): (string | number[])[] {
  const inputs = typeof given === "string" || typeof given[0] === "number" ? [given as string | number[]] : given;
  if (inputs.length > MOST_INPUTS)
    throw new RequestError(400, `${param}: expected at most ${MOST_INPUTS}, got ${inputs.length}`, { param });
  return inputs as (string | number[])[];
}
