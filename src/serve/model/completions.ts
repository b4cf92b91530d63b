/** Completions: reads prompts, from where their state is known, and writes what comes after them. */
import type { TokenReader } from "../../generate/reader.ts";
import { DecodingState } from "../../generate/state.ts";
import { RequestError } from "../../service/failure.ts";
import type { Completed, CompletionJob, Piece, TokenRecord } from "../protocol.ts";
import type { ServedModel } from "./served-model.ts";
import { RECENT_TOKENS, type SessionContent } from "./session-file.ts";
import { Stream } from "./stream.ts";
import type { Written } from "./together.ts";
import { TokenRecords } from "./token-records.ts";

/** What a job is given with. */
export interface JobContext {
  readonly signal: AbortSignal;
  /** Whether its client is slow at present. */
  readonly paused: () => boolean;
  readonly tell: (piece: Piece) => void;
}

/** A prompt, ready to be read. */
interface Prompt {
  readonly index: number;
  /** As the client has it, for the echo. */
  readonly text: string;
  /** Of the client's prompt. */
  readonly own: Int32Array;
  /** What is to be read: in a session, first what its state has not read. */
  readonly tokens: Int32Array;
  readonly session: SessionContent | undefined;
}

interface PromptResult {
  readonly cached: number;
  readonly completion: number;
  /** What a session goes on with. */
  readonly content: SessionContent | undefined;
}

export async function complete(model: ServedModel, job: CompletionJob, context: JobContext): Promise<Completed> {
  const unknown = job.bias.find(([token]) => token >= model.tokenizer.vocabSize)?.[0];
  if (unknown !== undefined) {
    const problem = `expected tokens from 0 to ${model.tokenizer.vocabSize - 1}, got ${unknown}`;
    throw new RequestError(400, `logit_bias: ${problem}`, { param: "logit_bias" });
  }
  if (job.session === undefined) return completeAll(model, job, context);
  const id = job.session === true ? model.sessions.create() : job.session;
  const before = job.session === true ? undefined : await model.sessions.take(id);
  try {
    return await completeAll(model, job, context, { id, before });
  } finally {
    if (before) model.sessions.leave(id);
  }
}

async function completeAll(
  model: ServedModel,
  job: CompletionJob,
  context: JobContext,
  session?: { readonly id: string; readonly before: SessionContent | undefined },
): Promise<Completed> {
  const prompts: Prompt[] = [];
  for (const [index, input] of job.prompts.entries()) {
    const own = await model.tokensOf(input, "prompt");
    const text = !job.echo ? "" : typeof input === "string" ? input : await model.tokenizer.decode(own);
    const tokens = toRead(model, own, session?.before);
    model.requireRoom((session?.before?.state.position(0) ?? 0) + tokens.length + Math.max(0, job.tokens - 1));
    prompts.push({ index, text, own, tokens, session: session?.before });
  }
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const results = await Promise.all(
    prompts.map((prompt) =>
      completePrompt(model, job, prompt, { ...context, signal }, session !== undefined).catch((error) => {
        stop.abort(error); // the other prompts of the request are of no use without this one
        throw error;
      }),
    ),
  );
  const content = results[0].content;
  if (session && content) await model.sessions.keep(session.id, content);
  const sum = (count: (result: PromptResult) => number) => results.reduce((total, result) => total + count(result), 0);
  const prompt = prompts.reduce((total, { own }) => total + own.length, 0);
  const usage = { prompt, cached: sum(({ cached }) => cached), completion: sum(({ completion }) => completion) };
  model.counters.promptTokens += prompt;
  model.counters.cachedTokens += usage.cached;
  return { usage, ...(session && { session: session.id }) };
}

/** An empty prompt begins a text after an end-of-text token. */
function toRead(model: ServedModel, own: Int32Array, before: SessionContent | undefined): Int32Array {
  if (before === undefined) return own.length > 0 ? own : Int32Array.of(model.tokenizer.special.endOfText);
  const tokens = Int32Array.from([...before.pending, ...own]);
  if (tokens.length > 0) return tokens;
  throw new RequestError(400, "prompt: expected some text, since the model had ended the text of this session", {
    param: "prompt",
  });
}

async function completePrompt(
  model: ServedModel,
  job: CompletionJob,
  prompt: Prompt,
  context: JobContext,
  keeps: boolean,
): Promise<PromptResult> {
  await model.places.take(job.n, context.signal);
  const reader = model.readings.take();
  try {
    const { logits, cached, echoed } = await readPrompt(model, job, prompt, reader, context);
    const streams = Array.from({ length: job.n }, (_, i) => {
      const own = { job, choice: prompt.index * job.n + i, told: prompt.text.length };
      return new Stream({ ...own, vocabSize: model.vocabSize, tokenizer: model.tokenizer });
    });
    for (const stream of streams) {
      stream.read(prompt.session?.recent ?? []);
      stream.read(prompt.own);
      if (job.echo) context.tell({ choice: stream.choice, text: prompt.text, ...(echoed && { records: echoed }) });
    }
    if (logits === undefined) {
      for (const { choice } of streams) context.tell({ choice, text: "", finish: "length" });
    } else {
      await Promise.all(streams.map((stream) => writeStream(model, stream, { logits, reader, context, keeps })));
    }
    const completion = streams.reduce((sum, { written }) => sum + written.length, 0);
    return {
      cached,
      completion,
      content: keeps ? await contentOf(model, job, prompt, { reader, stream: streams[0] }) : undefined,
    };
  } finally {
    model.readings.giveBack(reader);
    model.places.giveBack(job.n);
  }
}

interface ReadPrompt {
  /** After the prompt, [V]; undefined where nothing is to be written. */
  readonly logits: Float32Array | undefined;
  readonly cached: number;
  /** The records of the prompt's tokens, where they are to be told. */
  readonly echoed?: readonly TokenRecord[];
}

/** Reads a prompt, and keeps states of it for prompts that begin alike. */
async function readPrompt(
  model: ServedModel,
  job: CompletionJob,
  prompt: Prompt,
  reader: TokenReader,
  { signal }: JobContext,
): Promise<ReadPrompt> {
  const { tokens, session } = prompt;
  const { readings, prefixes } = model;
  if (job.echo && job.logprobs !== undefined) return readEchoed(model, job, prompt, reader, signal);
  const logits = new Float32Array(model.vocabSize);
  const readTo = (from: number, to: number) => {
    const take = (result: Float32Array) => logits.set(result);
    return readings.read(reader, { tokens: tokens.subarray(from, to), readout: "last", signal, take });
  };
  const goOnFrom = (state: DecodingState) =>
    readings.exclusively(() => reader.onHost(() => reader.state.copyFrom(state, 0, 0)));
  const writes = job.tokens > 0;
  // Where no logits are wanted, the last token is left for the next call of a session.
  const end = writes ? tokens.length : tokens.length - 1;
  if (session) {
    await goOnFrom(session.state);
    await readTo(0, end);
    return { logits: writes ? logits : undefined, cached: 0 };
  }
  const known = prefixes.find(tokens.subarray(0, end));
  let at = known?.tokens.length ?? 0;
  if (known) await goOnFrom(known.state);
  if (known?.logits) logits.set(known.logits);
  for (const stop of prefixes.stops(tokens).filter((stop) => stop > at && stop <= end)) {
    await readTo(at, stop);
    at = stop;
    await readings.exclusively(() => prefixes.keep(tokens.subarray(0, stop), reader));
  }
  await readTo(at, end);
  if (at < end && prefixes.endOf(tokens.subarray(0, end)))
    await readings.exclusively(() => prefixes.keep(tokens.subarray(0, end), reader, logits));
  return { logits: writes ? logits : undefined, cached: known?.tokens.length ?? 0 };
}

/** Reads a whole prompt with the log-probability of each of its tokens. */
async function readEchoed(
  model: ServedModel,
  job: CompletionJob,
  { tokens, own }: Prompt,
  reader: TokenReader,
  signal: AbortSignal,
): Promise<ReadPrompt> {
  const V = model.vocabSize;
  const records = new TokenRecords(model.tokenizer, job.logprobs ?? 0);
  const echoed = Array.from(own.subarray(0, 1), (token) => records.record(token, undefined));
  let last = new Float32Array();
  const take = (result: Float32Array, at: number, count: number) => {
    for (let i = 0; i < count; i++) {
      const logits = result.subarray(i * V, (i + 1) * V);
      const next = tokens.at(at + i + 1);
      if (next !== undefined) echoed.push(records.record(next, logits));
      else last = Float32Array.from(logits);
    }
  };
  await model.readings.read(reader, { tokens, readout: "all", signal, take });
  return { logits: job.tokens > 0 ? last : undefined, cached: 0, echoed };
}

interface Writing {
  /** After the prompt, which `reader` has read. */
  readonly logits: Float32Array;
  readonly reader: TokenReader;
  readonly context: JobContext;
  /** Whether the reader gets the state at the end. */
  readonly keeps: boolean;
}

async function writeStream(
  model: ServedModel,
  stream: Stream,
  { logits, reader, context, keeps }: Writing,
): Promise<void> {
  const take = (logits: Float32Array) => {
    const before = stream.written.length;
    const piece = stream.take(logits);
    model.counters.writtenTokens += stream.written.length - before;
    if (piece) context.tell(piece);
  };
  take(logits);
  if (stream.finished) return;
  const written: Written = {
    signal: context.signal,
    get paused() {
      return context.paused();
    },
    get last() {
      return stream.last;
    },
    get finished() {
      return stream.finished;
    },
    take,
  };
  await model.together.write(written, reader, keeps ? reader : undefined);
}

/** What a session goes on with after its text has been written. */
async function contentOf(
  model: ServedModel,
  job: CompletionJob,
  { tokens, own, session }: Prompt,
  { reader, stream }: { readonly reader: TokenReader; readonly stream: Stream },
): Promise<SessionContent> {
  const state = new DecodingState(model.session.architecture, 1);
  await model.readings.exclusively(() => reader.onHost(() => state.copyFrom(reader.state, 0, 0)));
  const pending = job.tokens === 0 ? tokens.slice(-1) : Int32Array.from(stream.last === undefined ? [] : [stream.last]);
  const recent = [...(session?.recent ?? []), ...own.subarray(-RECENT_TOKENS), ...stream.written];
  return { state, pending, recent: Int32Array.from(recent.slice(-RECENT_TOKENS)) };
}
