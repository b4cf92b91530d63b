/** When a training reached a loss: the paper compares the time that models need to the same quality. */

interface CurvePoint {
  readonly step: number;
  readonly seconds: number;
  readonly loss: number;
}

/**
 * Step and seconds at which the curve first comes down to `loss`, on the straight line between the evaluations before
 * and after; undefined when it never does. A curve that begins at or below it reached it at its first point at the
 * latest.
 */
export function timeToLoss(curve: readonly CurvePoint[], loss: number): { step: number; seconds: number } | undefined {
  const at = curve.findIndex((point) => point.loss <= loss);
  if (at < 0) return undefined;
  const after = curve[at];
  if (at === 0) return { step: after.step, seconds: after.seconds };
  const before = curve[at - 1];
  const share = (before.loss - loss) / (before.loss - after.loss);
  const between = (from: number, to: number) => from + share * (to - from);
  return { step: between(before.step, after.step), seconds: between(before.seconds, after.seconds) };
}
