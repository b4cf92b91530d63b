/** Learning-rate schedules: linear warm-up, then linear or cosine decay, or none. Pure functions of the step. */
import { z } from "zod";

export const scheduleSchema = z.strictObject({
  peak: z.number().positive().describe("Highest learning rate."),
  warmup: z.number().int().min(0).describe("Steps of linear growth from 0 to the peak."),
  decay: z.enum(["linear", "cosine", "constant"]).default("linear").describe("Shape after the warm-up."),
  floor: z.number().min(0).max(1).default(0).describe("Share of the peak that is left at the last step."),
});

export type Schedule = z.infer<typeof scheduleSchema>;

/** The learning rate of update `step` (1 is the first, `steps` the last). */
export function learningRate({ peak, warmup, decay, floor }: Schedule, step: number, steps: number): number {
  if (step <= warmup) return (peak * step) / warmup;
  if (decay === "constant") return peak;
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  const left = decay === "linear" ? 1 - progress : 0.5 * (1 + Math.cos(Math.PI * progress));
  return peak * (floor + (1 - floor) * left);
}
