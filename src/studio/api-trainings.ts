/** Of the studio's interface (api.ts): trainings that are started from it, and the form for them. */

export interface TrainingForm {
  /** JSON schema (draft 2020-12) of the settings of a new training, with `description` and `default` of each field. */
  readonly settings: JsonSchema;
  /** Of a resumed one. */
  readonly resume: JsonSchema;
  /** The flag of each field, such as --eval-every. */
  readonly flags: Readonly<Record<string, string>>;
}

/** The part of JSON schema that occurs. */
export interface JsonSchema {
  readonly type?: "object" | "array" | "string" | "number" | "integer" | "boolean";
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly minItems?: number;
  /** What stands for the value in help: "path...", "n|auto". */
  readonly value?: string;
}

/** Either a new training or one that goes on. */
export type TrainingRequest =
  /**
   * Only fields that differ from their default need be there. `out` is a name below the runs folder; default: of the
   * data.
   */
  | { readonly settings: Readonly<Record<string, unknown>> }
  | { readonly resume: string; readonly settings?: Readonly<Record<string, unknown>> };

export interface CommandLine {
  /** As a person would type it, quoted for a shell. */
  readonly line: string;
  readonly words: readonly string[];
  /** Where the run will be. */
  readonly run: string;
}

/** A process that was started from the studio. It goes on when the studio ends, and a later studio shows it again. */
export interface Training {
  readonly id: string;
  readonly run: string;
  readonly command: string;
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly started: number;
  readonly running: boolean;
  /** Once it has ended; null where it ended by a signal or while no studio was there to see. */
  readonly exitCode?: number | null;
  readonly outputBytes: number;
}

export interface OutputQuery {
  readonly training: string;
  /** Byte to go on from; negative: so many from the end. Default -65536. */
  readonly from?: number;
}

export interface OutputPage {
  readonly from: number;
  readonly next: number;
  /** What it wrote for a person to read, whole characters; lines end with \n, and \r returns to the start of a line. */
  readonly text: string;
}
