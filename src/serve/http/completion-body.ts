/** A completion as OpenAI's API has it, to and from a job of a model. */
import { randomInt, randomUUID } from "node:crypto";
import type { ServeSettings } from "../../config/serve-settings.ts";
import { checkSampling } from "../../generate/sampling.ts";
import { RequestError } from "../../service/failure.ts";
import type { Completed, CompletionJob, Piece, TokenRecord } from "../protocol.ts";
import { type CompletionBody, inputsOf } from "./schemas.ts";

/** What a request that does not say gets, as from OpenAI. */
const DEFAULT_TOKENS = 16;

/** Throws 400 for what cannot be done. */
export function jobOf(body: CompletionBody, settings: ServeSettings): CompletionJob {
  const refuse = (param: string, problem: string): never => {
    throw new RequestError(400, `${param}: ${problem}`, { param });
  };
  const prompts = inputsOf(body.prompt ?? "", "prompt");
  const n = body.n ?? 1;
  const tokens = body.max_tokens ?? DEFAULT_TOKENS;
  if (n > settings.batch) refuse("n", `expected at most ${settings.batch}, which are written together, got ${n}`);
  if (body.best_of != null && body.best_of !== n)
    refuse("best_of", `expected ${n}, as n, or nothing: this server returns all that it writes`);
  if (tokens > settings.mostTokens) refuse("max_tokens", `expected at most ${settings.mostTokens}, got ${tokens}`);
  if (body.stream_options != null && !body.stream) refuse("stream_options", "expected only beside stream: true");
  const session = body.session ?? undefined;
  if (session !== undefined && (prompts.length > 1 || n > 1)) refuse("session", "expected one prompt and n: 1 with it");
  if (session !== undefined && body.echo) refuse("echo", "expected no session with it: its text is not kept");
  if (body.seed != null && !Number.isSafeInteger(body.seed)) refuse("seed", "expected a whole number");
  const sampling = {
    temperature: body.temperature ?? undefined,
    topP: body.top_p ?? undefined,
    topK: body.top_k ?? undefined,
    minP: body.min_p ?? undefined,
    typicalP: body.typical_p ?? undefined,
    repetitionPenalty: body.repetition_penalty ?? undefined,
    repetitionWindow: body.repetition_window ?? undefined,
  };
  checkSampling(sampling);
  return {
    kind: "complete",
    ...{ prompts, n, tokens, sampling, session },
    seed: body.seed == null ? randomInt(2 ** 48 - 1) : Math.abs(body.seed),
    stop: [body.stop ?? []].flat().filter((stop) => stop !== ""),
    bias: Object.entries(body.logit_bias ?? {}).map(([token, value]) => [Number(token), value]),
    presencePenalty: body.presence_penalty ?? 0,
    frequencyPenalty: body.frequency_penalty ?? 0,
    logprobs: body.logprobs ?? undefined,
    echo: body.echo ?? false,
  };
}

interface Head {
  readonly id: string;
  readonly object: "text_completion";
  readonly created: number;
  readonly model: string;
}

export function headOf(model: string): Head {
  const id = `cmpl-${randomUUID().replaceAll("-", "")}`;
  return { id, object: "text_completion", created: Math.floor(Date.now() / 1000), model };
}

/** One piece of a stream. */
export function chunkOf(head: Head, piece: Piece, job: CompletionJob) {
  const { choice: index, text, finish, records } = piece;
  const logprobs = job.logprobs === undefined ? null : logprobsOf(records ?? [], job.logprobs);
  return { ...head, choices: [{ text, index, logprobs, finish_reason: finish ?? null }] };
}

/** The last chunk: usage where it was asked for, and the session. */
export function lastChunkOf(head: Head, { usage, session }: Completed, withUsage: boolean) {
  return { ...head, choices: [], ...(withUsage && { usage: usageOf(usage) }), ...(session && { session }) };
}

/** The pieces of all choices, put together. */
export class WholeCompletion {
  readonly #job: CompletionJob;
  readonly #choices: { text: string; records: TokenRecord[]; finish: Piece["finish"] }[];

  constructor(job: CompletionJob) {
    this.#job = job;
    const count = job.prompts.length * job.n;
    this.#choices = Array.from({ length: count }, () => ({ text: "", records: [], finish: undefined }));
  }

  add({ choice, text, records = [], finish }: Piece): void {
    const own = this.#choices[choice];
    own.text += text;
    own.records.push(...records);
    own.finish ??= finish;
  }

  body(head: Head, { usage, session }: Completed) {
    const { logprobs } = this.#job;
    const choices = this.#choices.map(({ text, records, finish }, index) => ({
      ...{ text, index, finish_reason: finish ?? null },
      logprobs: logprobs === undefined ? null : logprobsOf(records, logprobs),
    }));
    return { ...head, choices, usage: usageOf(usage), ...(session && { session }) };
  }
}

function logprobsOf(records: readonly TokenRecord[], top: number) {
  return {
    tokens: records.map(({ text }) => text),
    token_logprobs: records.map(({ logprob }) => logprob),
    top_logprobs:
      top === 0
        ? null
        : records.map(({ text, logprob, top }) =>
            logprob === null ? null : Object.fromEntries([...top, [text, logprob]]),
          ),
    text_offset: records.map(({ offset }) => offset),
  };
}

function usageOf({ prompt, cached, completion }: Completed["usage"]) {
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached },
  };
}
