/** What is read of whole texts: vectors (the mean of their last hidden states) and bits. */

import { tokenText } from "../../generate/token-text.ts";
import { RequestError } from "../../service/failure.ts";
import type { Embedded, EmbedJob, Scored, ScoreJob } from "../protocol.ts";
import type { ServedModel } from "./served-model.ts";

/** The mean of the last hidden states of each text's tokens, [width]. */
export async function embed(model: ServedModel, { inputs }: EmbedJob, signal: AbortSignal): Promise<Embedded> {
  const d = model.session.architecture.width;
  let count = 0;
  const vectors = await eachText(model, inputs.length, signal, async (i, reader) => {
    const tokens = await model.tokensOf(inputs[i], "input");
    if (tokens.length === 0) throw new RequestError(400, "input: expected some text, got none", { param: "input" });
    model.requireRoom(tokens.length);
    count += tokens.length;
    const sum = new Float64Array(d);
    const take = (states: Float32Array, _: number, read: number) => {
      for (let at = 0; at < read * d; at++) sum[at % d] += states[at];
    };
    await model.readings.read(reader, { tokens, readout: "states", signal, take });
    return Float32Array.from(sum, (value) => value / tokens.length);
  });
  model.counters.promptTokens += count;
  return { vectors, tokens: count };
}

/** The bits of each text under the model, the first token predicted from an end-of-text token before it. */
export async function score(model: ServedModel, { inputs, each }: ScoreJob, signal: AbortSignal): Promise<Scored> {
  const { tokenizer } = model;
  const texts = await eachText(model, inputs.length, signal, async (i, reader) => {
    const targets = await model.tokensOf(inputs[i], "input");
    if (targets.length === 0) throw new RequestError(400, "input: expected some text, got none", { param: "input" });
    model.requireRoom(targets.length);
    const tokens = Int32Array.from([tokenizer.special.endOfText, ...targets.subarray(0, -1)]);
    const bits = new Float64Array(tokens.length);
    const take = (losses: Float32Array, at: number, count: number) => {
      for (let k = 0; k < count; k++) bits[at + k] = losses[k] / Math.LN2;
    };
    await model.readings.read(reader, { tokens, targets, readout: "losses", signal, take });
    model.counters.promptTokens += targets.length;
    const own = () => Array.from(targets, (token, k) => ({ text: tokenText(tokenizer, token), bits: bits[k] }));
    return {
      tokens: targets.length,
      bytes: targets.reduce((sum, token) => sum + tokenizer.bytesOf(token).length, 0),
      bits: bits.reduce((sum, value) => sum + value, 0),
      ...(each && { each: own() }),
    };
  });
  return { texts };
}

/** One text after the other, each with a place and a reader of its own. */
async function eachText<T>(
  { places, readings }: ServedModel,
  count: number,
  signal: AbortSignal,
  work: (index: number, reader: ReturnType<typeof readings.take>) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  for (let i = 0; i < count; i++) {
    await places.take(1, signal);
    const reader = readings.take();
    try {
      results.push(await work(i, reader));
    } finally {
      readings.giveBack(reader);
      places.giveBack(1);
    }
  }
  return results;
}
