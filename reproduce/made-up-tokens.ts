/** Seeded tokens with the frequencies of text, so that no text is too short to measure speed with. */
import { randomUniform } from "longhand/nn";

/** Rank r is about as often as 1 / r. */
export function madeUpTokens(key: Parameters<typeof randomUniform>[0], vocabSize: number, length: number): Int32Array {
  return Int32Array.from({ length }, (_, i) =>
    Math.min(vocabSize - 1, Math.floor(vocabSize ** randomUniform(key, i)) - 1),
  );
}
