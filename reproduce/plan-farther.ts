/**
 * In which windows beyond its context a trained model reads the held-out text: four, 16 and 64 times as long, as far as
 * that takes little beside its training. Whether text and memory suffice shows when it is trained (far-windows.ts).
 */
import { FARTHER, FINAL_EVAL_FACTOR, farSpan } from "./jobs.ts";
import type { PlanInputs, TrainingEstimate } from "./plan-section.ts";

/** Of the training's time, for each window; a few seconds are always worth it. */
const TIME_SHARE = 0.1;
const WORTH_SECONDS = 3;

/** The job with its windows, and the time that they take. */
export function readingFarther(
  { settings, costs, textTokens }: PlanInputs,
  { job, seconds }: TrainingEstimate,
): TrainingEstimate {
  const { evalTokens, evalFraction } = settings;
  const heldOut = Math.min(FINAL_EVAL_FACTOR * evalTokens, evalFraction * textTokens);
  const most = Math.max(WORTH_SECONDS, TIME_SHARE * seconds);
  const span = farSpan(job.context, { evalTokens, textTokens: heldOut });
  const windows: number[] = [];
  let reading = costs.evaluation(job.model, job.context, span);
  for (const window of FARTHER.map((times) => times * job.context)) {
    const own = heldOut <= window ? 0 : costs.evaluation(job.model, window, span);
    if (own > most) break;
    windows.push(window);
    reading += own;
  }
  return { job: { ...job, windows }, seconds: seconds + reading };
}
