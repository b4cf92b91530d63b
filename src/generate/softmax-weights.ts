/**
 * e^x of many numbers that are not positive: the weights of a softmax. By the method of fdlibm (Sun Microsystems, 1993), whose bits
 * V8's Math.exp has too: x = r - k ln 2 with |r| <= ln 2 / 2, then e^r by a rational function of r, times 2^-k. Written out
 * it takes three quarters of the time of as many calls, and the same seed gives the same tokens in every engine: the last
 * bits of Math.exp are left to engines.
 */

/** ln 2 as a sum of two, so that k times the first is exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
const INVERSE_LN2 = Math.LOG2E;
/** ln 2 / 2 and 3 ln 2 / 2 to the bits that fdlibm compares: k is 0 before the first, 1 before the second. */
const HALF = 0.3465735912322998;
const ONE_AND_A_HALF = 1.0397205352783203;
const P1 = 0.16666666666666602;
const P2 = -0.0027777777777015593;
const P3 = 0.00006613756321437934;
const P4 = -0.0000016533902205465252;
const P5 = 4.1381367970572385e-8;
const TINY = 2 ** -28;
/** Below, 2^-k has fewer bits; such weights are too rare to be fast. */
const LEAST = -707;
/** 2^-k */
const POWERS = Float64Array.from({ length: 1021 }, (_, k) => 2 ** -k);

/** Writes e^((scores[i] - largest) / temperature) to weights[i] and returns their sum, in order; no score is above the largest. */
export function softmaxWeights(
  scores: Float32Array,
  weights: Float64Array,
  { largest, temperature }: { readonly largest: number; readonly temperature: number },
): number {
  let sum = 0;
  for (let i = 0; i < scores.length; i++) {
    const x = (scores[i] - largest) / temperature;
    let weight: number;
    if (x > -TINY) weight = 1 + x;
    else if (x < LEAST) weight = Math.exp(x);
    else {
      let k = 0;
      let high = x;
      let low = 0;
      if (x <= -HALF) {
        k = x > -ONE_AND_A_HALF ? 1 : (0.5 - INVERSE_LN2 * x) | 0;
        high = x + k * LN2_HIGH;
        low = -k * LN2_LOW;
      }
      const r = high - low;
      const square = r * r;
      const c = r - square * (P1 + square * (P2 + square * (P3 + square * (P4 + square * P5))));
      weight = k === 0 ? 1 - ((r * c) / (c - 2) - r) : (1 - (low - (r * c) / (2 - c) - high)) * POWERS[k];
    }
    weights[i] = weight;
    sum += weight;
  }
  return sum;
}
