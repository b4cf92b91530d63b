/**
 * Bits as whole numbers of 2^-20: sums of them are exact, in any order, up to eight thousand million bits. A loss of the
 * model, a float32, is known no better.
 */
import { LonghandError } from "../../base/errors.ts";

const UNITS_PER_BIT = 2 ** 20;

/** Throws "diverged" for a loss that is no number. */
export function unitsOf(nats: number): number {
  if (Number.isFinite(nats)) return Math.round((nats / Math.LN2) * UNITS_PER_BIT);
  throw new LonghandError(
    "diverged",
    `score: the loss of a token is ${nats}; the model holds values that are not finite`,
  );
}

export const bitsOf = (units: number) => units / UNITS_PER_BIT;
