/** What a page and its training worker say to each other. */
import type { GenerateSettings } from "../config/use-settings.ts";
import type { TrainResult } from "../training/run-training.ts";
import type { EngineChoice, EngineOptions } from "./engine.ts";
import type { PickedFile } from "./run-archive.ts";
import type { StoredRun } from "./stored-runs.ts";
import type { TextToLearn, WebTrainEvent, WebTrainSettings } from "./train.ts";

export interface NewTraining {
  /** What the run is to be called; a number is added where there is one of that name. */
  readonly name: string;
  readonly text: TextToLearn;
  readonly settings: WebTrainSettings;
  /** A run to go on from with this text: its model, its tokenizer. */
  readonly from?: string | undefined;
  readonly engine?: EngineOptions | undefined;
}

export interface ContinuedTraining {
  readonly name: string;
  /** A new last step, to train longer than was planned. */
  readonly steps?: number | undefined;
  readonly engine?: EngineOptions | undefined;
}

export type TrainerEvent =
  | WebTrainEvent
  /** The engine that was chosen, before training begins. */
  | { readonly type: "engine"; readonly choice: EngineChoice };

export interface RunText extends GenerateSettings {
  readonly name: string;
  /** What the text begins with; may be empty. */
  readonly prompt: string;
  readonly engine?: EngineOptions | undefined;
}

export interface RunList {
  /** Whether runs stay when the page is closed. */
  readonly lasting: boolean;
  readonly runs: readonly StoredRun[];
}

export type TrainProtocol = {
  list: { readonly args: undefined; readonly result: RunList };
  /** The name of the run. */
  begin: { readonly args: NewTraining; readonly result: string; readonly event: TrainerEvent };
  train: { readonly args: ContinuedTraining; readonly result: TrainResult; readonly event: TrainerEvent };
  /** Ends what is under way: training after its current step, with a checkpoint; writing after its current token. */
  stop: { readonly args: undefined; readonly result: undefined };
  /** The text that was written, which is told in pieces before. */
  write: { readonly args: RunText; readonly result: string; readonly event: string };
  /** The lines of metrics.jsonl. */
  records: { readonly args: string; readonly result: readonly string[] };
  /** A zip file. */
  download: { readonly args: string; readonly result: Uint8Array<ArrayBuffer> };
  /** The name of the run that was taken in. */
  upload: { readonly args: readonly PickedFile[]; readonly result: string };
  remove: { readonly args: string; readonly result: undefined };
};
