/**
 * Generates text: reads the prompt at once, then samples and reads one token at a time. Memory does not grow with the
 * text, apart from the text itself. The same seed, options and model give the same text.
 */
import { LonghandError } from "../base/errors.ts";
import { Continuation, type ContinuationTokenizer } from "./continuation.ts";
import type { Decoder } from "./decoder.ts";
import type { SamplingOptions } from "./sampling.ts";
import { type TextStretch, textStatistics } from "./text-statistics.ts";

/** What generation needs of a tokenizer. */
interface GenerationTokenizer extends ContinuationTokenizer {
  encode(text: string): Promise<Int32Array>;
}

export interface GenerateOptions extends SamplingOptions {
  /** What it has read already comes before the prompt; call `reset()` for a new text. */
  readonly decoder: Decoder;
  readonly tokenizer: GenerationTokenizer;
  /** If empty, the text starts after an end-of-text token. */
  readonly prompt: string;
  /** The most tokens to generate. */
  readonly tokens: number;
  /** A whole number; default 0. */
  readonly seed?: number | undefined;
  /** The text ends before the first of these strings. */
  readonly stop?: readonly string[] | undefined;
  /** Whether to measure the text as well; takes a few bytes a token. */
  readonly statistics?: boolean | undefined;
  /** Stops between two tokens. */
  readonly signal?: AbortSignal | undefined;
}

/** length: all tokens generated; stop: a stop string; end: the model ended the text; aborted: by the signal. */
export type StopReason = "length" | "stop" | "end" | "aborted";

export interface Generated {
  readonly type: "end";
  /** All text, without the prompt. */
  readonly text: string;
  /** Tokens generated, without the end-of-text token. */
  readonly tokens: number;
  /** Steps per second, without the prompt and the time that the caller took; for a single token, with the prompt. */
  readonly tokensPerSecond: number;
  readonly stopReason: StopReason;
  /** What the text is like, stretch by stretch, if it was measured. */
  readonly statistics?: readonly TextStretch[];
}

/** A piece of text, whole characters only; in the end the record of the whole text. */
export type GeneratedPiece = { readonly type: "text"; readonly text: string } | Generated;

/** Tokens of a prompt that are read between two checks of the signal. */
const PROMPT_PART = 8192;

/**
 * Streams the continuation of a prompt. Padding and mask tokens are never sampled. The decoder does not read the last
 * token. Throws "usage" for a wrong option at once, and for a prompt and continuation longer than the decoder can read;
 * "checkpoint" for a tokenizer of another model.
 */
export function generate(options: GenerateOptions): AsyncGenerator<GeneratedPiece, void, undefined> {
  const { decoder, tokenizer, tokens, seed = 0, stop = [] } = options;
  const continuation = new Continuation({ ...options, vocabSize: decoder.vocabSize, seed, stop });
  if (!(Number.isSafeInteger(tokens) && tokens >= 1))
    throw new LonghandError("usage", `\`tokens\`: expected a whole number of 1 or more, got ${tokens}`);
  if (!(Number.isSafeInteger(seed) && seed >= 0))
    throw new LonghandError("usage", `\`seed\`: expected a whole number of 0 or more, got ${seed}`);
  if (tokenizer.vocabSize > decoder.vocabSize) {
    const sizes = `expected at most the model's ${decoder.vocabSize} tokens, got ${tokenizer.vocabSize}`;
    throw new LonghandError("checkpoint", `tokenizer: ${sizes}: it belongs to another model`);
  }
  return stream(options, continuation);
}

async function* stream(
  options: GenerateOptions,
  continuation: Continuation,
): AsyncGenerator<GeneratedPiece, void, undefined> {
  const { decoder, tokenizer, prompt, tokens, signal } = options;
  const begin = performance.now();
  const context = prompt === "" ? Int32Array.of(tokenizer.special.endOfText) : await tokenizer.encode(prompt);
  requireRoom(decoder, context.length, tokens);
  let logits: Float32Array | undefined;
  for (let at = 0; at < context.length && !signal?.aborted; at += PROMPT_PART) {
    logits = await decoder.absorb(context.subarray(at, at + PROMPT_PART));
  }

  continuation.read(context);
  const records = { tokens: [] as number[], modelEntropies: [] as number[], sampledEntropies: [] as number[] };
  const promptTime = performance.now() - begin;
  let time = 0;
  let text = "";
  let stopReason: StopReason = "length";
  for (;;) {
    if (signal?.aborted || !logits) {
      stopReason = "aborted";
      break;
    }
    const start = performance.now();
    const token = continuation.choose(logits);
    if (token === undefined) {
      stopReason = "end";
      break;
    }
    if (options.statistics) {
      const { model, sampled } = continuation.entropies();
      records.tokens.push(token);
      records.modelEntropies.push(model);
      records.sampledEntropies.push(sampled);
    }
    const piece = continuation.textOf(token);
    time += performance.now() - start;
    text += piece;
    if (piece !== "") yield { type: "text", text: piece };
    if (continuation.stopped || continuation.tokens === tokens) break;
    const before = performance.now();
    logits = await decoder.step(token);
    time += performance.now() - before;
  }
  const last = continuation.rest();
  text += last;
  if (last !== "") yield { type: "text", text: last };
  if (continuation.stopped) stopReason = "stop";
  const count = continuation.tokens;
  const tokensPerSecond = 1000 * (count > 1 ? (count - 1) / time : count / (promptTime + time));
  const statistics = options.statistics ? { statistics: textStatistics(records) } : {};
  yield { type: "end", text, tokens: count, tokensPerSecond, stopReason, ...statistics };
}

function requireRoom({ position, maxLength }: Decoder, prompt: number, tokens: number): void {
  const room = maxLength - position - prompt + 1; // the last token is not read
  if (tokens <= room) return;
  const advice = room < 1 ? "use a shorter prompt" : `ask for at most ${room}`;
  throw new LonghandError(
    "usage",
    `\`tokens\`: ${tokens} after ${position + prompt} tokens of prompt exceed the ${maxLength} that this model ` +
      `was made for (model.maxLength): ${advice}, or train flash, which has no such limit`,
  );
}
