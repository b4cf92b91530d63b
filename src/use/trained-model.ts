/** What a trained model is, wherever it was read: from a run, from an export, with adapters or without. */
import type { HostTensor } from "../base/dtype.ts";
import type { TrainedConfig } from "../config/trained-config.ts";
import type { TextTokenizer } from "../data/tokenizer.ts";
import type { Device } from "../runtime/engine.ts";

export interface TrainedModel {
  /** Path of the folder. */
  readonly path: string;
  readonly config: TrainedConfig;
  readonly tokenizer: TextTokenizer;
  /** Bytes that a token stands for in the text that the tokenizer was first used on, if that is known. */
  readonly bytesPerToken?: number | undefined;
  /** By path, those of the configuration and no others. */
  readonly parameters: Readonly<Record<string, HostTensor>>;
  /** Optimiser steps behind it. */
  readonly step: number;
  /** Where and with how many threads it was trained; of an export, what this machine has. */
  readonly engine: { readonly device: Device; readonly threads: number };
}
