/**
 * The settings of `reproduce`: one schema gives the command line its flags, the library its types, and both their
 * defaults and messages. `resolveSettings` fills in defaults that depend on other settings; the result is saved in the
 * manifest.
 */
import { architectureNames, deviceNames, LonghandError, type PresetName, presetNames } from "longhand";
import { nearest, parseSettings, quoted } from "longhand/tools";
import { DEFAULT_DECAYS, thisMachine } from "longhand/train";
import { z } from "zod";

/** The parts of the comparison, in the order of the report. */
export const sectionNames = ["speed", "quality", "ablations", "context-use", "recall"] as const;
export type SectionName = (typeof sectionNames)[number];

const whole = (least: number) => z.number().int().min(least);
/** On the command line "a,b,c"; in the library also an array. */
const list = () => z.union([z.string().min(1), z.array(z.union([z.string(), z.number()])).min(1)]);

const RATES = { muon: "4e-3,8e-3,1.6e-2", adamw: "2e-3,4e-3,8e-3" } as const;

/** Each description is one sentence for --help; `meta.value` names the value there. */
export const reproduceSettingsSchema = z.strictObject({
  data: list()
    .optional()
    .describe(
      "Texts to learn, with commas between: UTF-8 files or folders of them, each keeping its own end for evaluation; default: Moby-Dick, where its package is installed.",
    )
    .meta({ value: "path,…" }),
  out: z
    .string()
    .min(1)
    .default("runs/reproduce")
    .describe("Folder of the results and the report; an unfinished comparison in it is continued."),
  budget: z
    .number()
    .min(1)
    .default(60)
    .describe("Minutes that the whole comparison may take; the plan is scaled to fit."),
  preset: z
    .enum(presetNames as [string, ...string[]])
    .optional()
    .describe("Size of the models; default: nano up to a budget of 30 minutes, then tiny."),
  only: list()
    .optional()
    .describe(`Sections to run, with commas between: ${sectionNames.join(", ")}; default: all.`)
    .meta({ value: "section,…" }),
  models: list()
    .optional()
    .describe("Architectures to compare, with commas between; default: all that `longhand models` lists.")
    .meta({ value: "name,…" }),
  modules: list()
    .optional()
    .describe("Files that register architectures of your own, with commas between; every process imports them first.")
    .meta({ value: "path,…" }),
  contexts: list()
    .optional()
    .describe("Contexts whose speed is measured; default: 512 and its doubles up to 65536, as far as the budget goes.")
    .meta({ value: "n,…" }),
  qualityContexts: list()
    .optional()
    .describe("Contexts at which models are trained for quality; default: 512 and 8192, less if the budget is small.")
    .meta({ value: "n,…" }),
  tokens: whole(64)
    .optional()
    .describe(
      "Tokens a step when speed is measured; a longer context is one example of that length; default: 4096 up to a budget of 30 minutes, then 8192.",
    ),
  qualityTokens: whole(64)
    .default(4096)
    .describe("Tokens a step when models are trained; a longer context is one example of that length."),
  rounds: whole(1).optional().describe("Timed rounds of each speed measurement; default: 3 to 9, by the budget."),
  steps: whole(1).optional().describe("Steps of each training for quality; default: by the budget."),
  ablationSteps: whole(1).optional().describe("Steps of each ablation; default: by the budget."),
  recallSteps: whole(1)
    .optional()
    .describe("Steps of each training for recall over a distance; default: by the budget."),
  optimizer: z
    .enum(["muon", "adamw"])
    .default("muon")
    .describe("Of every training: muon for linear maps, or adamw for all, as in the paper."),
  weightDecay: z
    .number()
    .min(0)
    .optional()
    .describe(
      `Weight decay of every training but those of recall; default: ${DEFAULT_DECAYS.muon} with muon, ${DEFAULT_DECAYS.adamw} with adamw.`,
    ),
  lr: list()
    .optional()
    .describe(
      `Learning rates of the grid, with commas between; default: ${RATES.muon} with muon, ${RATES.adamw} with adamw.`,
    )
    .meta({ value: "x,…" }),
  vocab: whole(260).max(30000).default(4096).describe("Tokens of the vocabulary to train."),
  evalTokens: whole(1)
    .default(16384)
    .describe("Held-out tokens of each point of a curve; the last takes four times that."),
  evalFraction: z.number().gt(0).lt(1).default(0.05).describe("Share of each text that is held out."),
  seed: whole(0).default(1).describe("Seed of parameters, batches and tokenizer sample."),
  seeds: whole(1)
    .default(1)
    .describe("Seeds from which FLASH and Transformer++, then the others, are trained for quality; 3 show the spread."),
  threads: whole(1).optional().describe("Threads of one operation; default: all processors."),
  device: z.enum(deviceNames).default("cpu").describe("Where to compute."),
});

export type ReproduceSettingsInput = z.input<typeof reproduceSettingsSchema>;

/** Complete settings, lists as arrays. `undefined`: the plan chooses. */
export type ReproduceSettings = Readonly<ReturnType<typeof resolveSettings>>;

export const SPEED_CONTEXTS = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536] as const;

/** Minutes up to which models are small and steps short. */
const SMALL_BUDGET = 30;

/** Checks settings and completes them. Throws "usage" naming each field that is wrong. */
export function resolveSettings(value: unknown) {
  const parsed = parseSettings(reproduceSettingsSchema, value);
  const { data, rounds, steps, ablationSteps, recallSteps, modules, ...given } = parsed;
  const small = given.budget <= SMALL_BUDGET;
  const preset = (given.preset ?? (small ? "nano" : "tiny")) as PresetName;
  return {
    ...given,
    ...{ data: listed(data), modules: listed(modules), rounds, steps, ablationSteps, recallSteps, preset },
    weightDecay: given.weightDecay ?? DEFAULT_DECAYS[given.optimizer],
    tokens: given.tokens ?? (small ? 4096 : 8192),
    only: choices("only", given.only, sectionNames),
    models: choices("models", given.models, architectureNames()),
    contexts: ascending(numbers("contexts", given.contexts, true) ?? SPEED_CONTEXTS),
    qualityContexts: numbers("qualityContexts", given.qualityContexts, true),
    lr: ascending(numbers("lr", given.lr ?? RATES[given.optimizer], false) ?? []),
    threads: given.threads ?? thisMachine().processors,
  };
}

/** What may be given as "a, b" or as a list. */
type Listed = Exclude<ReproduceSettingsInput["data"], undefined>;

export function texts(given: Listed): string[] {
  const all = typeof given === "string" ? given.split(",") : given.map(String);
  return all.map((text) => text.trim()).filter((text) => text !== "");
}

const listed = (given: Listed | undefined) => (given === undefined ? undefined : texts(given));

function choices<T extends string>(field: string, given: Listed | undefined, all: readonly T[]): T[] {
  const wanted = listed(given) ?? all;
  for (const name of wanted) {
    if (all.some((known) => known === name)) continue;
    const guess = nearest(name, all);
    const hint = guess === undefined ? "" : ` (did you mean ${guess}?)`;
    throw new LonghandError("usage", `${quoted(field)} ${name}: expected some of ${all.join(", ")}${hint}`);
  }
  return all.filter((name) => wanted.includes(name));
}

function numbers(field: string, given: Listed | undefined, integer: boolean): number[] | undefined {
  return listed(given)?.map((text) => {
    const number = Number(text);
    if (Number.isFinite(number) && number > 0 && (!integer || Number.isInteger(number))) return number;
    throw new LonghandError("usage", `${quoted(field)} ${text}: expected positive ${integer ? "whole " : ""}numbers`);
  });
}

const ascending = (values: readonly number[]) => [...new Set(values)].sort((a, b) => a - b);
