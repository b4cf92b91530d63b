/** Tokens as a client is told of them: their text, and the likeliest by logits. */
import { firstByCount, idsOf, rankedKeys } from "./selection.ts";

export interface Vocabulary {
  readonly vocabSize: number;
  readonly special: Readonly<Record<string, number>>;
  bytesOf(id: number): Uint8Array;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of one token; of one that is no whole character its bytes, as OpenAI writes them: `bytes:\xe2\x80`. */
export function tokenText(vocabulary: Vocabulary, id: number): string {
  if (id >= vocabulary.vocabSize) return `<|${id}|>`;
  if (id === vocabulary.special.endOfText) return "<|endoftext|>";
  const bytes = vocabulary.bytesOf(id);
  try {
    return strict.decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}`;
  }
}

/** ln of the sum of exp(logits). */
export function logSumExp(logits: Float32Array): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > largest) largest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return largest + Math.log(sum);
}

/** The likeliest tokens after logits [V], the likeliest first, with the ln of their probabilities. */
export function likeliestTokens(
  logits: Float32Array,
  count: number,
  total = logSumExp(logits),
): { readonly id: number; readonly logprob: number }[] {
  if (count === 0) return [];
  const ids = idsOf(firstByCount(rankedKeys(logits), count).sort());
  return Array.from(ids, (id) => ({ id, logprob: logits[id] - total }));
}
