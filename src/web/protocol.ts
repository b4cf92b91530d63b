/** What a page and the worker of its model say to each other. */

import type { TrainedConfig } from "../config/trained-config.ts";
import type { FillOptions, GenerateSettings } from "../config/use-settings.ts";
import type { GeneratedPiece } from "../generate/generate.ts";
import type { FillResult } from "../use/fill.ts";
import type { ScoreRecord } from "../use/score/records.ts";
import type { EngineChoice, EngineOptions } from "./engine.ts";

/** Where the export is: one of these. */
export type ModelPlace =
  /** The folder that has the files of an export. Keeps a copy in the private file system unless told otherwise. */
  | { readonly url: string; readonly copy?: boolean | undefined }
  /** Files that a person picked; with a name they are kept under it. */
  | { readonly files: readonly File[]; readonly keep?: string | undefined }
  /** A name under which a model was kept. */
  | { readonly stored: string };

export interface LoadRequest extends EngineOptions {
  readonly place: ModelPlace;
  /** Bytes of all copies together. */
  readonly copiesLimit: number;
}

/** How far a load has come: reading and checking, then trying out the engine, then keeping a copy. */
export interface LoadProgress {
  readonly phase: "read" | "start" | "keep";
  /** Bytes read so far, and of how many; these are known once the configuration has been read. */
  readonly bytes: number;
  readonly totalBytes?: number;
}

export interface ModelFacts {
  /** Its URL, folder or name. */
  readonly path: string;
  readonly config: TrainedConfig;
  /** Optimiser steps behind it. */
  readonly step: number;
  readonly parameterCount: number;
  readonly engine: EngineChoice;
  /** Whether its bytes came from the private file system. */
  readonly fromStore: boolean;
  /** Why no copy is kept, where one was to be. */
  readonly notKept?: string;
}

export interface WebGenerateSettings extends GenerateSettings {
  /** What the text begins with; may be empty. */
  readonly prompt: string;
}

export interface WebScoreSettings {
  readonly text: string;
  /** A record of every token too. Default: false. */
  readonly tokens?: boolean | undefined;
  /** Tokens of windows that each begin anew; default: as longhand score. */
  readonly context?: number | undefined;
}

/** Pieces of a stream are asked for one by one: nothing piles up when a page is slower than the model. */
export type ModelProtocol = {
  load: { readonly args: LoadRequest; readonly result: ModelFacts; readonly event: LoadProgress };
  fill: { readonly args: { readonly text: string; readonly options: FillOptions }; readonly result: FillResult };
  /** The number of a stream. */
  generate: { readonly args: WebGenerateSettings; readonly result: number };
  score: { readonly args: WebScoreSettings; readonly result: number };
  next: { readonly args: number; readonly result: IteratorResult<GeneratedPiece | ScoreRecord, void> };
  /** Lets a stream stop where it is: it ends with its last record. */
  stop: { readonly args: number; readonly result: undefined };
  /** Ends a stream of which nothing more is wanted. */
  end: { readonly args: number; readonly result: undefined };
};
