/**
 * A training that goes on from a trained model (fine-tuning): which settings are the model's, and what it hands on to those
 * that were not given.
 */
import { LonghandError, quoted } from "../base/errors.ts";
import type { AdapterConfig } from "../models/tuning.ts";
import { given } from "./corpora.ts";
import { adapterSchema } from "./run-config.ts";
import type { TrainSettings, TrainSettingsInput } from "./train-settings.ts";
import type { TrainedConfig } from "./trained-config.ts";

/** The model that a training begins from. */
export interface Source {
  /** Absolute. */
  readonly path: string;
  readonly config: TrainedConfig;
  /** Optimiser steps behind it. */
  readonly step: number;
  /** SHA-256 of its parameters. */
  readonly weights: string;
  /** The file of its tokenizer. */
  readonly tokenizer: string;
  /** Bytes that a token stands for in the text that the tokenizer was first used on, if that is known. */
  readonly bytesPerToken?: number | undefined;
}

/** Settings that are the model's. */
export const OF_MODEL: readonly string[] = [
  "model",
  "preset",
  "chunk",
  "attention",
  "memory",
  "ablation",
  "vocab",
  "tokenizer",
  "objective",
];

/** Whether a field that is set by name is the model's. */
export const isFieldOfModel = (name: string) => name.startsWith("model.") || name === "training.objective";

/** Throws "usage" naming a setting, or a field set by name, that a model comes with. */
export function refuseOfModel(
  from: string,
  settings: Readonly<Record<string, unknown>>,
  overrides: Readonly<Record<string, unknown>>,
): void {
  const setting = Object.keys(given(settings)).find((name) => OF_MODEL.includes(name));
  const field = Object.keys(overrides).find(isFieldOfModel);
  const name = setting === undefined ? field && `\`set\` ${field}` : quoted(setting);
  if (name === undefined) return;
  throw new LonghandError("usage", `${name} cannot be combined with \`from\`: it is that of ${from}; leave it out`);
}

/** Settings, with what the model was trained with where they say nothing. */
export function withTrained(settings: TrainSettingsInput, { training }: TrainedConfig): TrainSettingsInput {
  const { context, documents, carry } = training;
  return { context, documents, carry, ...given(settings as Readonly<Record<string, unknown>>) };
}

/** rank=8, or rank=8,alpha=16. Throws "usage". */
export function adapterFrom(setting: NonNullable<TrainSettings["adapter"]>): AdapterConfig {
  const asked = typeof setting === "string" ? Object.fromEntries(setting.split(",").map(assignment)) : setting;
  const parsed = adapterSchema.safeParse({ alpha: asked.rank, ...given(asked) });
  if (parsed.success) return parsed.data;
  const got = typeof setting === "string" ? setting : JSON.stringify(setting);
  throw new LonghandError(
    "usage",
    `\`adapter\` ${got}: expected a rank from 1 to 4096 and perhaps an alpha above 0, such as rank=8 or rank=8,alpha=16`,
  );
}

function assignment(text: string): [string, number] {
  const [name, value = ""] = text.split("=");
  return [name.trim(), value.trim() === "" ? Number.NaN : Number(value)];
}
