/** What a user can set where a trained model is used, and for the table of models. */
import { z } from "zod";
import { presetNames } from "../models/presets.ts";
import { deviceNames } from "../runtime/engine.ts";
import { optionalText, seed, textFields, whole } from "./fields.ts";

export const loadSettingsSchema = z.strictObject({
  threads: whole(1).optional().describe("Threads of one operation; default: the run's."),
  device: z.enum(deviceNames).optional().describe("Where to compute; default: the run's."),
  adapter: z
    .array(z.string().min(1))
    .optional()
    .describe("Adapter of this model to use with it: its file or the run that trained it; may be repeated.")
    .meta({ value: "path" }),
});

export type LoadSettings = z.input<typeof loadSettingsSchema>;

export const evaluateSettingsSchema = z.strictObject({
  data: z.string().min(1).describe("Text to evaluate: what train takes, or token shards.").meta({ value: "path" }),
  ...textFields,
  split: textFields.split.describe("Part of a published data set; default: validation, where there is one."),
  context: whole(1).optional().describe("Tokens a window, each of which begins anew; default: the training context."),
  stride: whole(1)
    .optional()
    .describe(
      "Tokens from the start of a window to that of the next; each token counts once, after at least `context` less `stride` tokens; default: `context`.",
    ),
});

/** Of the command alone: the library has a function of its own. */
export const wholeSettingsSchema = z.strictObject({
  whole: z
    .boolean()
    .default(false)
    .describe(
      "Read each document whole, from its first token to its last, in constant memory; and say what the model's distant half is worth. `context` is then that of the windows beside it.",
    ),
});

/** Of the command alone, instead of a text. */
export const choicesSettingsSchema = z.strictObject({
  choices: optionalText(
    "file",
    "Instead of a text, questions as JSON lines: context, choices and answer (one of them, or its place from 0), or context and target; how often the right one is the likeliest: whole, per token and per byte.",
  ),
});

export type EvaluateSettings = z.input<typeof evaluateSettingsSchema>;

export const scoreSettingsSchema = z.strictObject({
  ...textFields,
  context: whole(1)
    .optional()
    .describe(
      "Read in windows of so many tokens, each of which begins anew; default: documents whole, and by a model whose state grows in windows of its training context.",
    ),
  tokens: z.boolean().default(false).describe("A record of every token too."),
});

/** Of the command alone: what it shows of the records. */
export const scoreShownSchema = z.strictObject({
  by: z
    .enum(["bits", "byte", "token", "highest"])
    .default("bits")
    .describe("Rank by bits of the whole, a byte, a token, or of the most surprising token."),
  threshold: z
    .number()
    .optional()
    .describe("Print lines of at least so many bits, counted as `by` says, as they come."),
  top: whole(0).max(10_000).default(20).describe("How many lines, and how many documents, to show."),
  against: optionalText("model", "A second model to compare with: how many bits the first saves."),
  html: optionalText("file", "Write a page in which every token is shaded by its surprise."),
});

export type ScoreSettings = z.input<typeof scoreSettingsSchema>;

/** Of a text that is given, not read from somewhere. */
export const scoreTextSettingsSchema = scoreSettingsSchema.pick({ context: true, tokens: true });

export type ScoreTextSettings = z.input<typeof scoreTextSettingsSchema>;

export const generateSettingsSchema = z.strictObject({
  tokens: whole(1).default(200).describe("The most tokens to write."),
  temperature: z.number().min(0).default(0.8).describe("Logits are divided by it; 0 always takes the likeliest token."),
  topK: whole(1).optional().describe("Choose among so many of the likeliest tokens; default: all."),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .default(0.95)
    .describe("Choose among the likeliest tokens that together reach this probability."),
  minP: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("Choose among tokens at least so many times as likely as the likeliest, such as 0.05; 0: all."),
  typicalP: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe("Choose among the tokens nearest to the expected surprise that together reach this probability; 1: all."),
  repetitionPenalty: z
    .number()
    .gt(0)
    .default(1)
    .describe("Divides the logits of recent tokens (multiplies negative ones), such as 1.1; 1: no penalty."),
  repetitionWindow: whole(1)
    .max(1_000_000)
    .default(256)
    .describe("How many of the last tokens `repetitionPenalty` applies to."),
  seed: seed("the choices"),
  stop: z
    .array(z.string().min(1))
    .optional()
    .describe("End before this text; may be repeated.")
    .meta({ value: "text" }),
  statistics: z
    .boolean()
    .default(false)
    .describe("Measure the text too: repeated 8-grams, and entropy of the choices, by stretches of 5000 tokens."),
});

export type GenerateSettings = z.input<typeof generateSettingsSchema>;

export const fillSettingsSchema = z.strictObject({
  topK: whole(1).default(5).describe("Tokens to name for each blank."),
});

export type FillOptions = z.input<typeof fillSettingsSchema>;

export const modelsSettingsSchema = z.strictObject({
  preset: z
    .enum(presetNames as [string, ...string[]])
    .default("small")
    .describe("Size of the models."),
  context: z
    .array(whole(1))
    .min(1)
    .default([512, 8192, 65536])
    .describe("Tokens of a context; several may follow.")
    .meta({ value: "n..." }),
  vocab: whole(1).default(8192).describe("Tokens of the vocabulary."),
});
