/**
 * The configuration of a run: complete, so that the run can be repeated from it, and saved as config.json. Everything
 * that had a default or followed from something else is written out.
 */
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { z } from "zod";
import { LonghandError } from "../base/errors.ts";
import type { MaskingVocabulary } from "../data/masking.ts";
import type { DataSpec } from "../data/sources/corpus.ts";
import { recomputeNames } from "../graph/recompute.ts";
import { describeIssues, modelConfigSchema, modelFieldNames, parseModelConfig } from "../models/config.ts";
import { presetModel } from "../models/presets.ts";
import { architectureOf } from "../models/registry.ts";
import { deviceNames } from "../runtime/engine.ts";
import { scheduleSchema } from "../train/schedule.ts";
import { dataPath, trainingParts } from "./data/corpora.ts";
import { documentsNames, objectiveNames, type TrainSettings } from "./settings.ts";

const count = () => z.number().int().positive();
const dataSpec = () => z.union([z.string(), z.array(z.string())]);
const textFields = {
  field: z.string().optional(),
  split: z.string().optional(),
  limit: z.string().optional(),
};

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
    evalFraction: z.number().gt(0).lt(1),
    evalTokens: count(),
    vocab: count(),
    tokenizer: z.string().optional(),
    tokenizerDigest: z.string(),
  }),
  model: modelConfigSchema,
  training: z.strictObject({
    objective: z.enum(objectiveNames).default("causal"),
    context: count(),
    documents: z.enum(documentsNames).default("joined"),
    batch: count(),
    accumulate: count(),
    recompute: z.enum(recomputeNames).default("none"),
    steps: count(),
    schedule: scheduleSchema,
    optimizer: z.strictObject({
      beta1: z.number().min(0).lt(1),
      beta2: z.number().min(0).lt(1),
      epsilon: z.number().positive(),
      weightDecay: z.number().min(0),
      clip: z.number().min(0),
    }),
    seed: z.number().int().min(0),
    evalEvery: count(),
    saveEvery: count(),
    keep: count(),
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
function checkTogether({ data, model, training }: RunConfig): void {
  const single = (["path", "split", "limit"] as const).filter((name) => data[name] !== undefined);
  if ((data.path === undefined) === (data.mix === undefined) || (data.mix !== undefined && single.length > 0)) {
    const fields = [...single, ...(data.mix === undefined ? [] : ["mix"])].map((name) => `data.${name}`);
    throw new LonghandError(
      "usage",
      `data: expected either data.path or data.mix, whose parts have a split and limit each; got ${fields.join(", ") || "neither"}`,
    );
  }
  parseModelConfig(model);
  const wanted = training.objective === "causal";
  if (model.causal !== wanted) {
    const why = wanted
      ? "a model that sees the next token cannot learn to predict it"
      : "blanks are filled from both sides";
    throw new LonghandError(
      "usage",
      `model.causal ${model.causal}: expected ${wanted} with the ${training.objective} objective (${why}); choose by \`objective\``,
    );
  }
  const problem = architectureOf(model).contextProblem(model, training.context);
  if (problem !== undefined) throw new LonghandError("usage", problem);
  if (training.schedule.warmup > training.steps) {
    throw new LonghandError("usage", `warmup ${training.schedule.warmup} exceeds the ${training.steps} steps`);
  }
}

/** What is known once the data has been opened. */
export interface ResolvedData {
  readonly vocabSize: number;
  readonly digest: string;
  /** Where each corpus is: an absolute path, or an address on the hub with the commit. */
  readonly paths?: readonly (DataSpec | undefined)[];
  readonly evalPath?: DataSpec | undefined;
}

/** Settings and `--set` fields made into a complete configuration. `version` is the package's. */
export function resolveConfig(
  settings: TrainSettings,
  overrides: Readonly<Record<string, unknown>>,
  { vocabSize, digest, paths = [], evalPath }: ResolvedData,
  version: string,
): RunConfig {
  const { context, steps } = settings;
  const parts = trainingParts(settings).map(({ data, weight, ...text }, i) => ({
    path: paths[i] ?? dataPath(data),
    weight,
    ...definedOnly(text),
  }));
  const [{ weight: _, ...only }] = parts;
  const draft = {
    longhand: version,
    data: {
      ...(settings.mix === undefined ? only : { ...definedOnly({ field: settings.field }), mix: parts }),
      ...(settings.evalData === undefined ? {} : { evalPath: evalPath ?? dataPath(settings.evalData) }),
      evalFraction: settings.evalFraction,
      evalTokens: settings.evalTokens,
      vocab: settings.vocab,
      ...(settings.tokenizer === undefined ? {} : { tokenizer: resolve(settings.tokenizer) }),
      tokenizerDigest: digest,
    },
    model: {
      ...presetModel(settings.model, settings.preset, {
        context,
        chunk: settings.chunk,
        attention: settings.attention,
        ablation: settings.ablation,
      }),
      vocabSize,
      causal: (overrides["training.objective"] ?? settings.objective) !== "masked",
    },
    training: {
      objective: settings.objective,
      context,
      documents: settings.documents,
      batch: settings.batch,
      accumulate: settings.accumulate,
      recompute: settings.recompute,
      steps,
      schedule: {
        peak: settings.lr,
        warmup: settings.warmup ?? Math.min(1000, Math.ceil(steps / 10)),
        decay: settings.schedule,
        floor: 0,
      },
      optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: settings.weightDecay, clip: settings.clip },
      seed: settings.seed,
      evalEvery: settings.evalEvery,
      saveEvery: settings.saveEvery,
      keep: settings.keep,
      maxSkips: 5,
    },
    engine: {
      device: settings.device === "auto" ? "cpu" : settings.device,
      threads: settings.threads ?? availableParallelism(),
    },
  };
  for (const [key, value] of Object.entries(overrides)) setField(draft, key, value);
  try {
    return parseRunConfig(draft);
  } catch (error) {
    // What is wrong here was asked for just now: wrong usage, not a damaged file.
    throw error instanceof LonghandError ? new LonghandError("usage", error.message, { cause: error }) : error;
  }
}

/** Fields that follow from the data and may not be contradicted. */
const FIXED = ["longhand", "data.path", "data.mix", "data.evalPath", "data.tokenizerDigest", "model.vocabSize"];

/** Sets a dotted field ("model.width"); an unknown one is an error that lists those there are. */
function setField(draft: object, key: string, value: unknown): void {
  const known = fieldNames(runConfigSchema).filter((name) => !FIXED.includes(name));
  if (!known.includes(key)) throw new LonghandError("usage", `\`set\` ${key}: expected one of ${known.join(", ")}`);
  const path = key.split(".");
  let at = draft as Record<string, unknown>;
  for (const name of path.slice(0, -1)) at = at[name] as Record<string, unknown>;
  at[path[path.length - 1]] = value;
}

function fieldNames(schema: z.ZodObject, prefix = ""): string[] {
  return Object.entries(schema.shape).flatMap(([name, field]) =>
    field === modelConfigSchema
      ? modelFieldNames().map((own) => `${prefix}${name}.${own}`)
      : field instanceof z.ZodObject
        ? fieldNames(field, `${prefix}${name}.`)
        : [prefix + name],
  );
}

function definedOnly<Value>(fields: Readonly<Record<string, Value | undefined>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, Value] => entry[1] !== undefined));
}

/** What masking needs when the run fills in blanks; undefined for a causal run. */
export function maskingOf({ training }: RunConfig, tokenizer: MaskingVocabulary): MaskingVocabulary | undefined {
  const { vocabSize, special } = tokenizer;
  return training.objective === "masked" ? { vocabSize, special } : undefined;
}

/** The token at which a document begins, where documents are kept apart; undefined where they are joined. */
export function documentStartOf({ training }: RunConfig, { special }: MaskingVocabulary): number | undefined {
  return training.documents === "separate" ? special.endOfText : undefined;
}
