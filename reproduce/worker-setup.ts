/** What a measured process is told to be: one model, one shape of batch, made-up tokens or a text. */
import { deviceNames, objectiveNames } from "longhand";
import { recomputeNames } from "longhand/graph";
import { modelConfigSchema } from "longhand/models";
import { scheduleSchema } from "longhand/train";
import { z } from "zod";

const count = () => z.number().int().positive();

export const workerSetupSchema = z.strictObject({
  model: modelConfigSchema,
  batch: count(),
  context: count(),
  threads: count(),
  device: z.enum(deviceNames),
  seed: z.number().int().min(0),
  objective: z.enum(objectiveNames),
  /** What is computed again in the backward pass instead of being kept for it. */
  recompute: z.enum(recomputeNames),
  steps: count(),
  schedule: scheduleSchema,
  /** The text to learn and to be evaluated on; without it, tokens are made up and nothing is evaluated. */
  text: z
    .strictObject({
      folder: z.string(),
      evalFraction: z.number(),
      evalTokens: count(),
      window: count(),
      /** Where checkpoints are kept; an earlier one is gone on from. */
      checkpoints: z.string(),
    })
    .optional(),
});

export type WorkerSetup = z.infer<typeof workerSetupSchema>;

/** AdamW as `longhand train` has it by default. */
export const OPTIMIZER = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, clip: 1 } as const;

/** What the worker says when it is ready. */
export interface WorkerHello {
  readonly parameters: number;
  /** Steps done before, from a checkpoint. */
  readonly step: number;
  /** Seconds of training in those. */
  readonly seconds: number;
  /** Resident bytes before the first step. */
  readonly baseBytes: number;
}

export interface WorkerStep {
  readonly milliseconds: number;
  readonly phases: { readonly graph: number; readonly optimizer: number };
  readonly loss: number;
  /** False where the step was not finite and not taken. */
  readonly applied: boolean;
}

export interface WorkerEvaluation {
  readonly loss: number;
  readonly tokens: number;
  /** With masking only; else null. */
  readonly accuracy: number | null;
  /** Sums of nats and how many tokens, in ranges of positions. */
  readonly byPosition: readonly PositionSum[];
  readonly milliseconds: number;
}

export interface PositionSum {
  readonly from: number;
  readonly to: number;
  readonly nats: number;
  readonly tokens: number;
}
