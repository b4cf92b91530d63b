/**
 * What a model writes while it is trained: the same beginning continued at each evaluation, with the same seed, so that
 * only the model differs from one text to the next.
 */
import type { HostArray } from "../base/dtype.ts";
import type { RunConfig } from "../config/run-config.ts";
import { generateSettingsSchema } from "../config/use-settings.ts";
import type { TextTokenizer } from "../data/tokenizer.ts";
import { createDecoder } from "../generate/decoder.ts";
import { generate } from "../generate/generate.ts";
import { withAdapters } from "../models/adapters.ts";
import { decodingArchitecture } from "../models/decoding.ts";
import type { Engine } from "../runtime/engine.ts";
import type { ModelParameters } from "../train/training-step.ts";

/** A text that the model wrote after a step. */
export interface SampleRecord {
  readonly type: "sample";
  readonly step: number;
  readonly prompt: string;
  /** Without the prompt. */
  readonly text: string;
}

export interface SampleInputs {
  readonly engine: Engine;
  readonly config: RunConfig;
  readonly tokenizer: TextTokenizer;
  readonly parameters: ModelParameters;
}

/** Continues `prompt` by `training.sampleTokens` tokens. Throws as `generate` does, such as for a prompt that is too long. */
export async function writeSample(prompt: string, { engine, config, tokenizer, parameters }: SampleInputs) {
  const { adapter, sampleTokens, seed } = config.training;
  const tensors = await onHost(parameters);
  const merged = adapter ? withAdapters(tensors, [{ config: adapter, tensors }]) : tensors;
  const arrays = Object.fromEntries(
    Object.entries(merged).map(([path, { data }]): [string, HostArray] => [path, data]),
  );
  const decoder = await createDecoder({ engine, architecture: decodingArchitecture(config.model), parameters: arrays });
  try {
    const settings = generateSettingsSchema.parse({ tokens: sampleTokens, seed });
    let text = "";
    for await (const piece of generate({ ...settings, prompt, decoder, tokenizer })) {
      if (piece.type === "end") text = piece.text;
    }
    return text;
  } finally {
    await decoder.release();
  }
}

async function onHost(parameters: ModelParameters) {
  const entries = Object.entries(parameters).map(async ([path, tensor]) => {
    const { dtype, shape } = tensor;
    return [path, { dtype, shape, data: "data" in tensor ? tensor.data : await tensor.read() }] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
