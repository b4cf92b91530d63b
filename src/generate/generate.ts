/**
 * Generates text: reads the prompt at once, then samples and reads one token at a time. Memory does not grow with the
 * text, apart from the text itself. The same seed, options and model give the same text.
 */
import { LonghandError } from "../base/errors.ts";
import { randomKey, randomUniform } from "../base/random.ts";
import type { Decoder } from "./decoder.ts";
import { checkSampling, entropyOfLogits, Sampler, type SamplingOptions } from "./sampling.ts";
import { StopStrings } from "./stop-strings.ts";
import { type TextStretch, textStatistics } from "./text-statistics.ts";

/** What generation needs of a tokenizer. */
interface GenerationTokenizer {
  readonly vocabSize: number;
  readonly special: { readonly endOfText: number; readonly padding: number; readonly mask: number };
  encode(text: string): Promise<Int32Array>;
  /** The UTF-8 bytes of a token: it may end inside a character. */
  bytesOf(id: number): Uint8Array;
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
  checkSampling(options);
  if (!(Number.isSafeInteger(tokens) && tokens >= 1))
    throw new LonghandError("usage", `\`tokens\`: expected a whole number of 1 or more, got ${tokens}`);
  if (!(Number.isSafeInteger(seed) && seed >= 0))
    throw new LonghandError("usage", `\`seed\`: expected a whole number of 0 or more, got ${seed}`);
  if (tokenizer.vocabSize > decoder.vocabSize) {
    const sizes = `expected at most the model's ${decoder.vocabSize} tokens, got ${tokenizer.vocabSize}`;
    throw new LonghandError("checkpoint", `tokenizer: ${sizes}: it belongs to another model`);
  }
  return stream(options, seed, new StopStrings(stop));
}

async function* stream(
  options: GenerateOptions,
  seed: number,
  stops: StopStrings,
): AsyncGenerator<GeneratedPiece, void, undefined> {
  const { decoder, tokenizer, prompt, tokens, signal } = options;
  const { special } = tokenizer;
  const begin = performance.now();
  const context = prompt === "" ? Int32Array.of(special.endOfText) : await tokenizer.encode(prompt);
  requireRoom(decoder, context.length, tokens);
  let logits: Float32Array | undefined;
  for (let at = 0; at < context.length && !signal?.aborted; at += PROMPT_PART) {
    logits = await decoder.absorb(context.subarray(at, at + PROMPT_PART));
  }

  const sampler = new Sampler(decoder.vocabSize, options);
  // The end of a text that an empty prompt begins with is no reason to put off the end of this one.
  for (const token of context) if (token !== special.endOfText) sampler.read(token);
  const records = { tokens: [] as number[], modelEntropies: [] as number[], sampledEntropies: [] as number[] };
  const characters = new TextDecoder("utf-8", { ignoreBOM: true });
  const allowed = new Float32Array(decoder.vocabSize);
  const key = randomKey(seed, "sample");
  const promptTime = performance.now() - begin;
  let time = 0;
  let text = "";
  let count = 0;
  let stopReason: StopReason = "length";
  for (;;) {
    if (signal?.aborted || !logits) {
      stopReason = "aborted";
      break;
    }
    const start = performance.now();
    allowed.set(logits);
    for (const id of [special.padding, special.mask]) allowed[id] = Number.NEGATIVE_INFINITY;
    allowed.fill(Number.NEGATIVE_INFINITY, tokenizer.vocabSize);
    const token = sampler.choose(allowed, randomUniform(key, count));
    if (token === special.endOfText) {
      stopReason = "end";
      break;
    }
    count++;
    sampler.read(token);
    if (options.statistics) {
      records.tokens.push(token);
      records.modelEntropies.push(entropyOfLogits(allowed));
      records.sampledEntropies.push(sampler.entropy());
    }
    const piece = stops.push(characters.decode(tokenizer.bytesOf(token), { stream: true }));
    time += performance.now() - start;
    text += piece;
    if (piece !== "") yield { type: "text", text: piece };
    if (stops.found || count === tokens) break;
    const before = performance.now();
    logits = await decoder.step(token);
    time += performance.now() - before;
  }
  // An unfinished character becomes U+FFFD, as when all tokens are decoded at once.
  const last = stops.push(characters.decode()) + stops.flush();
  text += last;
  if (last !== "") yield { type: "text", text: last };
  if (stops.found) stopReason = "stop";
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
