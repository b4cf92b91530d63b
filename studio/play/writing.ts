/**
 * The text that a model and a person write together: read, gone on with, taken back to a token and gone on otherwise.
 */
import { signal } from "@preact/signals";
import type { Alternative, Attention, TextToken, WriteRequest } from "../../src/studio/api.ts";
import { announce } from "../base/announce.ts";
import { ask, askLines, Refused, sentenceOf } from "../base/client.ts";

export interface Text {
  readonly run: string;
  /** Its name on the server. */
  readonly text: string;
  /** How many tokens of it a person wrote first. */
  readonly given: number;
  readonly tokens: readonly TextToken[];
  readonly next: readonly Alternative[];
}

/** As they are written into the fields. */
export const options = signal({ count: "40", temperature: "0.8", topK: "0", topP: "0.95", seed: "" });
export const prompt = signal("");
export const text = signal<Text | undefined>(undefined);
/** Index of the selected token; the length of the text: what comes next. */
export const selected = signal<number | undefined>(undefined);
export const attention = signal<Attention | undefined>(undefined);
export const problem = signal<string | undefined>(undefined);
export const speed = signal<number | undefined>(undefined);
/** What is being done; aborting it stops the model. */
export const working = signal<AbortController | undefined>(undefined);

const TOP = 12;

/** Does one thing at a time and says what went wrong. */
async function work(what: (signal: AbortSignal) => Promise<void>): Promise<void> {
  working.peek()?.abort();
  const own = new AbortController();
  working.value = own;
  problem.value = undefined;
  try {
    await what(own.signal);
  } catch (error) {
    if (!own.signal.aborted) problem.value = sentenceOf(error);
  }
  if (working.peek() === own) working.value = undefined;
}

async function read(run: string, given: string, abort: AbortSignal): Promise<Text> {
  const answer = await ask("POST /api/text", { run, prompt: given, top: TOP }, abort);
  const { tokens, next } = answer;
  return { run, text: answer.text, given: tokens.length, tokens, next };
}

/** Reads the prompt, and writes on from it. */
export function begin(run: string): Promise<void> {
  return work(async (abort) => {
    attention.value = undefined;
    const begun = await read(run, prompt.peek(), abort);
    text.value = begun;
    selected.value = undefined;
    await write({ text: begun.text, ...numbers() }, abort);
  });
}

/** Writes on; with `keep` and `token`, the text is taken back first and this token put after it. */
export function goOn(from: { keep?: number; token?: number } = {}): Promise<void> {
  return work(async (abort) => {
    const known = text.peek();
    if (known === undefined) return;
    attention.value = undefined;
    const request = { text: known.text, ...from, ...numbers() };
    try {
      await write(request, abort);
    } catch (error) {
      // The server forgets texts: it reads this one again.
      if (!(error instanceof Refused) || error.status !== 404) throw error;
      const whole = known.tokens.map((token) => token.text).join("");
      const again = await read(known.run, whole, abort);
      text.value = { ...again, given: known.given };
      await write({ ...request, text: again.text }, abort);
    }
  });
}

async function write(request: WriteRequest, abort: AbortSignal): Promise<void> {
  for await (const event of askLines("POST /api/write", request, abort)) {
    const known = text.peek();
    if (known === undefined) return;
    if (event.type === "token") {
      const tokens = [...known.tokens.slice(0, event.at), event.token];
      text.value = { ...known, tokens, next: [], given: Math.min(known.given, tokens.length) };
      if (selected.peek() !== undefined && (selected.peek() ?? 0) >= event.at) selected.value = undefined;
    } else if (event.type === "end") {
      text.value = { ...known, next: event.next };
      speed.value = event.tokensPerSecond;
      announce(event.reason === "end" ? "The model ended the text." : "The model has written.");
    } else {
      problem.value = event.error;
    }
  }
}

function numbers() {
  const { count, ...others } = options.peek();
  const given = Object.entries(others).filter(([name, value]) => value !== "" && !(name === "topK" && value === "0"));
  return { top: TOP, count: Number(count), ...Object.fromEntries(given.map(([name, value]) => [name, Number(value)])) };
}

/** What the selected token attends to. */
export async function look(position: number): Promise<void> {
  const known = text.peek();
  if (known === undefined) return;
  try {
    const answer = await ask("POST /api/attention", { text: known.text, position });
    if (selected.peek() === position) attention.value = answer;
  } catch (error) {
    problem.value = sentenceOf(error);
  }
}
