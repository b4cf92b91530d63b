/**
 * What a user can set for a training: one schema gives the command line its flags, the library its types, and both their
 * defaults and messages. Settings are resolved into a RunConfig (resolve.ts), which is complete and saved.
 */
import { z } from "zod";
import { ablationNames } from "../models/ablations.ts";
import { attentionNames } from "../models/architectures/flash.ts";
import { memoryNames } from "../models/architectures/memory-fields.ts";
import { presetNames } from "../models/presets.ts";
import { architectureNameSchema, architectureNames } from "../models/registry.ts";
import { deviceNames } from "../runtime/engine.ts";
import { optimizerNames } from "../train/optimizer-config.ts";
import { decayNames } from "../train/schedule.ts";
import { exampleFields } from "./example-fields.ts";
import {
  cameLater,
  dataField,
  dataSpec,
  optionalText,
  parseSettings,
  seed,
  textFields,
  tokenizerFields,
  whole,
} from "./fields.ts";

/** One corpus of a mixture: what `data` takes, =, its weight; or the same as an object. */
const mixPart = () =>
  z.union([
    z.string().min(1),
    z.strictObject({
      data: dataSpec(),
      weight: z.number(),
      ...textFields,
    }),
  ]);

/** The fields of these four groups are saved in config.json as they are: a field that is added here is saved too. */
export const evaluationFields = {
  evalFraction: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.05)
    .describe("Share of the data held out when no `evalData` is given."),
  evalTokens: whole(1)
    .default(131072)
    .describe("At most so many held-out tokens are evaluated at each interval, of a mixture shared by weight."),
};

export const optimizerFields = {
  clip: z.number().min(0).default(1).describe("Largest global gradient norm; 0 switches clipping off."),
  ema: cameLater(
    z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe(
        "What a step leaves of a moving average of the parameters, such as 0.999, which is then what is evaluated, saved and used; 0: none.",
      ),
  ),
};

export const stepFields = {
  seed: seed("parameters, batches and tokenizer sample"),
  evalEvery: whole(1).default(100).describe("Steps between evaluations."),
  saveEvery: whole(1).default(100).describe("Steps between checkpoints."),
  keep: whole(1).default(3).describe("Newest checkpoints to keep."),
  syncEvery: cameLater(
    whole(0)
      .default(0)
      .describe(
        "Under mpirun or srun, over slow links: so many steps of its own a process takes before all meet; 0: they meet in every step.",
      ),
  ),
  sample: z
    .string()
    .optional()
    .describe("What the model is to continue at each evaluation; the texts are printed and kept in metrics.jsonl.")
    .meta({ value: "prompt" }),
  sampleTokens: cameLater(whole(1).default(64).describe("Tokens that a `sample` has.")),
};

/** With `syncEvery`: the mean of what processes have come to. The paper's 0.7 and 0.9 were worse (docs/decisions/0053). */
export const OUTER = { rate: 1, momentum: 0 } as const;

/** Highest learning rates where none is given, and what a search for one begins with. */
export const DEFAULT_RATES = { muon: 1e-2, adamw: 2e-3 } as const;

/** Where training goes on from a model: the share of them, and what an adapter has (docs/decisions/0041). */
export const FROM_SHARE = 0.2;
export const ADAPTER_RATE = 0.02;

/** Weight decays where none is given; with muon that of a text of unknown length, see train/weight-decay.ts. */
export const DEFAULT_DECAYS = { muon: 0.5, adamw: 0.01 } as const;

/** What training does with the parameters of a model that there is. */
const tuningFields = {
  from: optionalText(
    "folder",
    "Trained model to go on from, with settings of your own: its architecture, tokenizer, objective and parameters; `context`, `documents` and `carry` are its own unless given.",
  ),
  freeze: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe("Part of the model that stays as it is: embedding, layers.2, layers.0-3, logits; may be repeated.")
    .meta({ value: "part" }),
  adapter: z
    .union([z.string().min(1), z.strictObject({ rank: whole(1), alpha: z.number().positive().optional() })])
    .optional()
    .describe(
      "With `from`: the model stays as it is, and matrices of this rank that are added to its linear maps are trained, and saved alone; alpha / rank multiplies them (default: 1).",
    )
    .meta({ value: "rank=n[,alpha=n]" }),
};

export const trainSettingsSchema = z.strictObject({
  data: dataField("Text to learn", dataSpec().optional()),
  ...tuningFields,
  mix: z
    .union([z.string().min(1), z.array(mixPart()).min(1)], {
      error: "expected data=weight, several of them, or objects of data, weight and at most field, split, limit",
    })
    .optional()
    .describe(
      "Several corpora by weight instead of `data`: each example is of one of them, as often as its weight says.",
    )
    .meta({ value: "data=weight..." }),
  ...textFields,
  out: optionalText("folder", "Run folder to write; default runs/<name of the data>."),
  evalData: optionalText("path", "Text to evaluate on; default: the validation split of the data, or its end."),
  ...evaluationFields,
  ...tokenizerFields,
  model: architectureNameSchema
    .default("flash")
    .describe(`Architecture: ${architectureNames().join(", ")}.`)
    .meta({ value: "name" }),
  preset: z
    .enum(presetNames as [string, ...string[]])
    .default("nano")
    .describe("Size of the model."),
  chunk: whole(1).optional().describe("Tokens a chunk of mixed chunk attention; default: the preset's."),
  attention: z
    .enum(attentionNames)
    .optional()
    .describe("Of flash: mixed, or one half of it, local (inside chunks) or global (across them); default: mixed."),
  memory: z
    .enum(memoryNames)
    .optional()
    .describe(
      "Of flash and mc-tfm++: what the distant half keeps of earlier chunks: sum (the paper's, which grows with the text), mean, or a mean with decays: fixed (decay), learned, or gated by the tokens; default: learned.",
    ),
  ablation: optionalText(
    "name",
    `What to change in flash or flash-quad, several by commas: ${ablationNames.join(", ")}.`,
  ),
  ...exampleFields,
  lr: z
    .union([z.number().positive(), z.literal("auto")], { error: "expected a number above 0, or auto" })
    .optional()
    .describe(
      `Highest learning rate; default: ${DEFAULT_RATES.muon} with muon, ${DEFAULT_RATES.adamw} with adamw, a fifth of that with \`from\`, ${ADAPTER_RATE} of an adapter; auto: found by at most five short trainings on the text, a fifth of the steps in addition, of short trainings more.`,
    )
    .meta({ value: "n|auto" }),
  warmup: whole(0).optional().describe("Steps of linear warm-up; default: a tenth of the steps, at most 1000."),
  schedule: z.enum(decayNames).default("linear").describe("Learning rate after the warm-up."),
  cooldown: whole(0)
    .default(0)
    .describe(
      "Last steps, in which the rate goes to zero: with `schedule` constant, a run that can be ended well at any step.",
    ),
  optimizer: z
    .enum(optimizerNames)
    .default("muon")
    .describe("How parameters are updated: adamw, or muon, which updates linear maps by Muon and the rest by AdamW."),
  weightDecay: z
    .number()
    .min(0)
    .optional()
    .describe(
      `Decoupled weight decay of linear maps and the embedding; default: ${DEFAULT_DECAYS.adamw} with adamw or \`from\`, with muon by how often the steps read the text: 0.02 to 2 as a rule.`,
    ),
  ...optimizerFields,
  ...stepFields,
  device: z
    .enum(["auto", ...deviceNames])
    .default("auto")
    .describe("Where to compute; auto: on a graphics card if it is clearly faster, else on the CPU."),
  threads: whole(1)
    .optional()
    .describe(
      "Threads of one operation; default: all processors. Give each of several trainings at a time its share: threads that wait keep their processors busy.",
    ),
  overwrite: z.boolean().default(false).describe("Replace an existing run folder."),
});

export type TrainSettings = z.infer<typeof trainSettingsSchema>;
/** What a caller must give: everything with a default may be left out. */
export type TrainSettingsInput = z.input<typeof trainSettingsSchema>;

/** What a run that goes on can change: how it ends, what is kept for the backward pass, and where it is, not what is learnt. */
export const resumeSettingsSchema = z.strictObject({
  steps: exampleFields.steps.unwrap().optional(),
  recompute: exampleFields.recompute.unwrap().optional(),
  cooldown: whole(1).optional(),
  out: trainSettingsSchema.shape.out,
});

export type ResumeSettings = z.infer<typeof resumeSettingsSchema>;

/** Settings of a training with their defaults. Throws "usage" naming each field that is wrong. */
export function parseTrainSettings(value: unknown): TrainSettings {
  return parseSettings(trainSettingsSchema, value);
}
