/**
 * Learning-rate schedules, pure functions of the step: linear warm-up, then linear or cosine decay, or none; and at the
 * end, where wanted, a cool-down from whatever the rate is then to zero. Warm-up, constant rate and cool-down together are
 * the schedule of Zhai et al. (2022, section 3.5), "warmup-stable-decay" of Hu et al. (2024, MiniCPM): the constant part
 * does not depend on how long a run will be, so that it can be ended well at any step, and gone on with from there.
 */
import { z } from "zod";

export const decayNames = ["linear", "cosine", "constant"] as const;
/** linear to zero, or as 1 - sqrt(share of the cool-down): faster at first (Hägele et al. 2024, section 3). */
export const cooldownNames = ["linear", "sqrt"] as const;

export const scheduleSchema = z.strictObject({
  peak: z.number().positive().describe("Highest learning rate."),
  search: z.boolean().default(false).describe("Whether the peak is still to be found, by short trainings."),
  warmup: z.number().int().min(0).describe("Steps of linear growth from 0 to the peak."),
  decay: z.enum(decayNames).default("linear").describe("Shape after the warm-up."),
  floor: z.number().min(0).max(1).default(0).describe("Share of the peak that is left at the last step."),
  cooldown: z.number().int().min(0).default(0).describe("Last steps, in which the rate goes to zero."),
  cooldownShape: z.enum(cooldownNames).default("sqrt").describe("Shape of the cool-down."),
  planned: z
    .number()
    .int()
    .positive()
    .optional()
    .describe("Steps that the decay was planned for, where a cool-down ends the run at another step."),
});

type Optional = "search" | "cooldown" | "cooldownShape";
type Complete = z.infer<typeof scheduleSchema>;
/** Without a cool-down where nothing is said of it. */
export type Schedule = Omit<Complete, Optional> & Partial<Pick<Complete, Optional>>;

/** The learning rate of update `step` (1 is the first, `steps` the last). */
export function learningRate(schedule: Schedule, step: number, steps: number): number {
  const { cooldown = 0, cooldownShape = "sqrt", planned = steps } = schedule;
  const from = coolsFrom(schedule, steps);
  if (step <= from || cooldown === 0) return decayedRate(schedule, step, planned);
  const progress = Math.min(1, (step - from) / cooldown);
  return (
    decayedRate(schedule, Math.max(1, from), planned) *
    (1 - (cooldownShape === "sqrt" ? Math.sqrt(progress) : progress))
  );
}

/** The last step before the cool-down; the last of all without one. */
export function coolsFrom({ cooldown = 0 }: Pick<Schedule, "cooldown">, steps: number): number {
  return Math.max(0, steps - cooldown);
}

function decayedRate({ peak, warmup, decay, floor }: Schedule, step: number, steps: number): number {
  if (step <= warmup) return (peak * step) / warmup;
  if (decay === "constant") return peak;
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  const left = decay === "linear" ? 1 - progress : 0.5 * (1 + Math.cos(Math.PI * progress));
  return peak * (floor + (1 - floor) * left);
}
