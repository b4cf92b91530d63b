/** A text read by a model, token by token, with the surprise of each; and perplexity against position from them. */
import { signal } from "@preact/signals";
import type { ScoreEvent } from "../../src/studio/api.ts";
import { announce } from "../base/announce.ts";
import { askLines, sentenceOf } from "../base/client.ts";
import { figures } from "../base/format.ts";
import type { Points } from "../plot/points.ts";

export type Ending = Extract<ScoreEvent, { type: "end" }>;

export interface Reading {
  readonly texts: readonly string[];
  readonly bits: readonly number[];
  readonly end?: Ending;
}

export const reading = signal<Reading | undefined>(undefined);
export const problem = signal<string | undefined>(undefined);
export const working = signal<AbortController | undefined>(undefined);

/** A long text comes in thousands of parts: the page shows them a few times a second. */
const PAUSE_MS = 250;

export async function read(run: string, text: string): Promise<void> {
  working.peek()?.abort();
  const own = new AbortController();
  working.value = own;
  problem.value = undefined;
  reading.value = { texts: [], bits: [] };
  const texts: string[] = [];
  const bits: number[] = [];
  let shown = performance.now();
  try {
    for await (const event of askLines("POST /api/score", { run, text }, own.signal)) {
      if (event.type === "error") {
        problem.value = event.error;
      } else if (event.type === "end") {
        reading.value = { texts, bits, end: event };
        announce(`Read: perplexity ${figures(event.perplexity)}.`);
      } else {
        for (const one of event.texts) texts.push(one);
        for (const one of event.bits) bits.push(one);
        if (performance.now() - shown < PAUSE_MS) continue;
        shown = performance.now();
        reading.value = { texts, bits };
      }
    }
  } catch (error) {
    if (!own.signal.aborted) problem.value = sentenceOf(error);
  }
  if (working.peek() !== own) return;
  working.value = undefined;
  if (reading.peek()?.end === undefined) reading.value = { texts, bits };
}

const STRETCHES = 240;
const LEAST = 16;

/** Perplexity of consecutive stretches of a text, each at its middle: 2^(mean bits). */
export function perplexityAlong(bits: readonly number[]): Points {
  const size = Math.max(LEAST, Math.ceil(bits.length / STRETCHES));
  const count = Math.ceil(bits.length / size);
  const x = new Float64Array(count);
  const y = new Float64Array(count);
  for (let stretch = 0; stretch < count; stretch++) {
    const part = bits.slice(stretch * size, (stretch + 1) * size);
    x[stretch] = stretch * size + part.length / 2;
    y[stretch] = 2 ** (part.reduce((sum, one) => sum + one, 0) / part.length);
  }
  return { x, y };
}
