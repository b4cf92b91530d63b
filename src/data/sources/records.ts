/** What JSON lines and parquet have in common: a field of each record is a document, and some records are unusable. */
import { LonghandError, nearest } from "../../base/errors.ts";

/** How documents are read from files. */
export interface Reading {
  /** The field of JSON lines, or column of parquet, that holds the text. */
  readonly field: string;
  /** What is done to the text of each document of JSON lines or parquet. */
  readonly transform?: ((text: string) => string) | undefined;
  /** Called with one sentence about what was left out. */
  readonly onWarning: (message: string) => void;
}

/** The text of one record. */
export interface RecordText {
  readonly text: string;
  /** Share of the stored bytes read so far. */
  readonly read: number;
}

/** The error for a missing field, which lists the fields there are. */
export function noSuchField(field: string, there: readonly string[], where: string): LonghandError {
  const guess = nearest(field, there);
  const list = there.length === 0 ? "none" : there.join(", ");
  return new LonghandError(
    "data",
    `data: ${where} has no field ${field}${guess === undefined ? "" : ` (did you mean ${guess}?)`}; it has ${list}: choose one with \`field\``,
  );
}

/**
 * Counts unusable records: up to 1 % of a file is left out with a warning, more is an error that names the file and the
 * first of them.
 */
export class UnusableRecords {
  static readonly MOST = 0.01;
  #records = 0;
  #bad = 0;
  #first = "";
  readonly #path: string;
  readonly #unit: string;

  /** `unit` is what a record is called, "line" or "row". */
  constructor(path: string, unit: string) {
    this.#path = path;
    this.#unit = unit;
  }

  good(): void {
    this.#records++;
  }

  /** `number` counts from 1. Throws "data" when that makes too many. */
  bad(number: number, problem: string): void {
    this.#records++;
    if (this.#bad++ === 0) this.#first = `${this.#unit} ${number} ${problem}`;
    if (this.#records >= 1000) this.#check();
  }

  /** At the end of the file. */
  end(onWarning: (message: string) => void): void {
    if (this.#bad === 0) return;
    this.#check();
    onWarning(`${this.#path}: ${this.#count()} left out; ${this.#first}`);
  }

  #count(): string {
    return `${this.#bad} of ${this.#records} ${this.#unit}s`;
  }

  #check(): void {
    if (this.#bad <= UnusableRecords.MOST * this.#records) return;
    throw new LonghandError(
      "data",
      `data: ${this.#path}: ${this.#first}; ${this.#count()} cannot be used, and at most ${100 * UnusableRecords.MOST} % are left out`,
    );
  }
}
