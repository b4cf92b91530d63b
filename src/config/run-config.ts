/**
 * The configuration of a run: complete, so that the run can be repeated from it, and saved as config.json. Everything
 * that had a default or followed from something else is written out.
 */
import { z } from "zod";
import { LonghandError } from "../base/errors.ts";
import { describeIssues } from "../base/issues.ts";
import { modelConfigSchema } from "../models/config.ts";
import { freezeProblem } from "../models/tuning.ts";
import { deviceNames } from "../runtime/engine.ts";
import { decayedNames, MOMENTUM, optimizerNames } from "../train/optimizer-config.ts";
import { scheduleSchema } from "../train/schedule.ts";
import { exampleFields } from "./example-fields.ts";
import { dataSpec, saved, textFields, whole } from "./fields.ts";
import { evaluationFields, OUTER, optimizerFields, stepFields } from "./train-settings.ts";
import { checkTrained } from "./trained-config.ts";

const count = () => whole(1);

export const adapterSchema = z.strictObject({ rank: count().max(4096), alpha: z.number().positive() });

export const runConfigSchema = z.strictObject({
  longhand: z.string().describe("Version that wrote the file."),
  data: z.strictObject({
    path: dataSpec().optional(),
    ...textFields,
    mix: z
      .array(z.strictObject({ path: dataSpec(), weight: z.number().positive(), ...textFields }))
      .min(1)
      .optional()
      .describe("Several corpora by weight, instead of path, split and limit; field is then that of evalPath."),
    evalPath: z.string().optional(),
    ...saved(evaluationFields),
    vocab: count(),
    tokenizer: z.string().optional(),
    tokenizerDigest: z.string(),
    bytesPerToken: z
      .number()
      .positive()
      .optional()
      .describe("Bytes that a token stands for in the text that the tokenizer was first used on."),
  }),
  from: z
    .strictObject({
      path: z.string().describe("Where the trained model lay."),
      step: whole(0),
      weights: z.string().describe("SHA-256 of its parameters."),
    })
    .optional()
    .describe("The trained model that this training began from."),
  model: modelConfigSchema,
  training: z.strictObject({
    ...saved(exampleFields),
    freeze: z.array(z.string().min(1)).min(1).optional(),
    adapter: adapterSchema.optional(),
    schedule: scheduleSchema,
    optimizer: z.strictObject({
      name: z.enum(optimizerNames).default("adamw"),
      momentum: z.number().min(0).lt(1).default(MOMENTUM).describe("Of Muon."),
      decayed: z
        .enum(decayedNames)
        .default("matrices")
        .describe("What weight decay reaches: all parameters of two axes or more, or linear maps and the embedding."),
      beta1: z.number().min(0).lt(1),
      beta2: z.number().min(0).lt(1),
      epsilon: z.number().positive(),
      weightDecay: z.number().min(0),
      decayFromText: z
        .boolean()
        .default(false)
        .describe("Whether the weight decay is still to be taken from the length of the text."),
      ...saved(optimizerFields),
    }),
    ...saved(stepFields),
    outer: z
      .strictObject({ rate: z.number().positive(), momentum: z.number().min(0).lt(1) })
      .default(OUTER)
      .describe("The step that processes take when they meet, with `syncEvery`."),
    maxSkips: count(),
  }),
  engine: z.strictObject({ device: z.enum(deviceNames), threads: count() }),
});

export type RunConfig = z.infer<typeof runConfigSchema>;

export function parseRunConfig(value: unknown): RunConfig {
  const parsed = runConfigSchema.safeParse(value);
  if (!parsed.success) throw new LonghandError("config", describeIssues(parsed.error, value));
  checkTogether(parsed.data);
  return parsed.data;
}

/** Contradictions between fields, rejected in one place. */
function checkTogether({ data, from, model, training }: RunConfig): void {
  const single = (["path", "split", "limit"] as const).filter((name) => data[name] !== undefined);
  if ((data.path === undefined) === (data.mix === undefined) || (data.mix !== undefined && single.length > 0)) {
    const fields = [...single, ...(data.mix === undefined ? [] : ["mix"])].map((name) => `data.${name}`);
    throw new LonghandError(
      "usage",
      `data: expected either data.path or data.mix, whose parts have a split and limit each; got ${fields.join(", ") || "neither"}`,
    );
  }
  checkTrained({ model, training });
  const { freeze, adapter, sample } = training;
  if (sample !== undefined && training.objective === "masked") {
    throw new LonghandError(
      "usage",
      `\`sample\` ${sample}: expected none for a masked model, which fills in blanks and continues no text`,
    );
  }
  if (adapter !== undefined && from === undefined)
    throw new LonghandError("usage", "`adapter`: it is trained beside a model that there is; name that by `from`");
  if (adapter !== undefined && freeze !== undefined) {
    throw new LonghandError(
      "usage",
      "`freeze` cannot be combined with `adapter`, which leaves all of the model as it is",
    );
  }
  const unknown = freeze && freezeProblem(model, freeze);
  if (unknown !== undefined) throw new LonghandError("usage", unknown);
  if (training.syncEvery > 0 && training.carry) {
    throw new LonghandError(
      "usage",
      "`syncEvery` cannot be combined with `carry`, whose states are those of every step",
    );
  }
  if (training.schedule.warmup > training.steps) {
    throw new LonghandError("usage", `warmup ${training.schedule.warmup} exceeds the ${training.steps} steps`);
  }
  if (training.schedule.cooldown > training.steps) {
    throw new LonghandError(
      "usage",
      `\`cooldown\` ${training.schedule.cooldown}: it exceeds the ${training.steps} steps`,
    );
  }
}
