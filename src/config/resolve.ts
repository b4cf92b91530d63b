/**
 * Settings made into the one complete configuration that everything else takes its fields from. What only the machine knows
 * is passed in: this folder reads neither disk nor processors.
 */
import { z } from "zod";
import { LonghandError } from "../base/errors.ts";
import type { DataSpec } from "../data/data-spec.ts";
import { modelConfigSchema, modelFieldNames } from "../models/config.ts";
import { presetModel } from "../models/presets.ts";
import { MOMENTUM } from "../train/optimizer-config.ts";
import { corporaFrom, corporaIn, type DataFacts, given } from "./corpora.ts";
import { exampleFields } from "./example-fields.ts";
import { pick } from "./fields.ts";
import { adapterFrom, type Source } from "./from-model.ts";
import { parseRunConfig, type RunConfig, runConfigSchema } from "./run-config.ts";
import {
  ADAPTER_RATE,
  DEFAULT_DECAYS,
  DEFAULT_RATES,
  evaluationFields,
  FROM_SHARE,
  OUTER,
  optimizerFields,
  stepFields,
  type TrainSettings,
} from "./train-settings.ts";

/** What only the machine knows. */
export interface Machine extends DataFacts {
  /** Of the package. */
  readonly version: string;
  /** Threads of one operation where the settings say nothing. */
  readonly processors: number;
}

/**
 * The configuration of settings and of fields set by dotted name ("model.expansion"); with `source`, the model that training
 * goes on from. Vocabulary and tokenizer are those asked for, until `withData` puts in what the data gave. Throws "usage" for
 * what does not go together.
 */
export function resolveConfig(
  settings: TrainSettings,
  machine: Machine,
  overrides: Readonly<Record<string, unknown>> = {},
  source?: Source,
): RunConfig {
  const { context, chunk, attention, memory, ablation, steps } = settings;
  const vocab = source?.config.model.vocabSize ?? settings.vocab;
  const tokenizer = source?.tokenizer ?? (settings.tokenizer && machine.absolute(settings.tokenizer));
  const objective = source?.config.training.objective ?? settings.objective;
  const corpora = corporaFrom(settings, machine);
  const [{ weight: _, ...only }] = corpora;
  const draft = {
    longhand: machine.version,
    data: {
      ...(settings.mix === undefined ? only : { ...given({ field: settings.field }), mix: corpora }),
      ...given({ evalPath: settings.evalData && machine.absolute(settings.evalData) }),
      ...pick(settings, evaluationFields),
      vocab,
      ...given({ tokenizer }),
      tokenizerDigest: "",
      ...given({ bytesPerToken: source?.bytesPerToken }),
    },
    ...(source && { from: { path: source.path, step: source.step, weights: source.weights } }),
    model: source?.config.model ?? {
      ...presetModel(settings.model, settings.preset, { context, chunk, attention, memory, ablation }),
      vocabSize: vocab,
      causal: (overrides["training.objective"] ?? objective) !== "masked",
    },
    training: {
      ...pick(settings, exampleFields),
      objective,
      ...given<unknown>({ freeze: settings.freeze, adapter: settings.adapter && adapterFrom(settings.adapter) }),
      schedule: {
        peak: typeof settings.lr === "number" ? settings.lr : defaultRate(settings),
        search: settings.lr === "auto",
        warmup: settings.warmup ?? Math.min(1000, Math.ceil(steps / 10)),
        decay: settings.schedule,
        floor: 0,
        cooldown: settings.cooldown,
        cooldownShape: "sqrt",
      },
      optimizer: {
        name: settings.optimizer,
        ...{ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, momentum: MOMENTUM, decayed: "maps" },
        ...decayOf(settings, overrides),
        ...pick(settings, optimizerFields),
      },
      ...pick(settings, stepFields),
      outer: { ...OUTER },
      maxSkips: 5,
    },
    engine: {
      device: settings.device === "auto" ? "cpu" : settings.device, // until the machine has been asked
      threads: settings.threads ?? machine.processors,
    },
  };
  for (const [key, value] of Object.entries(overrides)) setField(draft, key, value);
  return asUsage(() => parseRunConfig(draft));
}

/** The usual rate, or that of the same training from a model that there is. */
function defaultRate({ optimizer, from, adapter }: TrainSettings): number {
  if (adapter !== undefined) return ADAPTER_RATE;
  return from === undefined ? DEFAULT_RATES[optimizer] : FROM_SHARE * DEFAULT_RATES[optimizer];
}

/**
 * A decay that is given, by the flag or by name; else the usual one, with muon until the text is known. What a model has
 * learnt before is not to decay with the text that it learns now.
 */
function decayOf({ weightDecay, optimizer, from }: TrainSettings, overrides: Readonly<Record<string, unknown>>) {
  const muon = (overrides["training.optimizer.name"] ?? optimizer) === "muon";
  const isGiven = weightDecay !== undefined || overrides["training.optimizer.weightDecay"] !== undefined;
  const usual = from === undefined ? DEFAULT_DECAYS[muon ? "muon" : "adamw"] : DEFAULT_DECAYS.adamw;
  return { weightDecay: weightDecay ?? usual, decayFromText: muon && !isGiven && from === undefined };
}

/** What is known once the data has been opened. */
export interface OpenedData {
  readonly vocabSize: number;
  /** Of the tokenizer. */
  readonly digest: string;
  /** Of each corpus: bytes of text that a token stands for. */
  readonly bytesPerToken?: readonly number[];
  /** Where each corpus was found: an absolute path, or an address on the hub with the commit. */
  readonly paths?: readonly (DataSpec | undefined)[];
  readonly evalPath?: DataSpec | undefined;
}

/** A configuration with what its data gave. */
export function withData(config: RunConfig, opened: OpenedData): RunConfig {
  const { vocabSize, digest, bytesPerToken = [], paths = [], evalPath } = opened;
  const { mix } = config.data;
  const found = mix && { mix: mix.map((corpus, i) => ({ ...corpus, path: paths[i] ?? corpus.path })) };
  const data = {
    ...config.data,
    ...(found ?? given({ path: paths[0] })),
    ...given({ evalPath }),
    tokenizerDigest: digest,
    ...given({ bytesPerToken: config.from === undefined ? meanOf(config, bytesPerToken) : config.data.bytesPerToken }),
  };
  return asUsage(() => parseRunConfig({ ...config, data, model: { ...config.model, vocabSize } }));
}

/** Over the examples of all corpora. */
function meanOf(config: RunConfig, bytesPerToken: readonly number[]): number | undefined {
  if (bytesPerToken.length === 0) return undefined;
  return corporaIn(config).reduce((sum, { share }, i) => sum + share * bytesPerToken[i], 0);
}

/** What is wrong here was asked for just now: wrong usage, not a damaged file. */
function asUsage<Value>(parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    throw error instanceof LonghandError ? new LonghandError("usage", error.message, { cause: error }) : error;
  }
}

/** Fields that follow from the data and may not be contradicted. */
const FIXED = [
  "longhand",
  "from",
  "data.path",
  "data.mix",
  "data.evalPath",
  "data.tokenizerDigest",
  "data.bytesPerToken",
  "model.vocabSize",
];

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
  return Object.entries(schema.shape).flatMap(([name, field]) => {
    if (field === modelConfigSchema) return modelFieldNames().map((own) => `${prefix}${name}.${own}`);
    const inner = field instanceof z.ZodDefault ? field.unwrap() : field;
    return inner instanceof z.ZodObject ? fieldNames(inner, `${prefix}${name}.`) : [prefix + name];
  });
}
