/** The most surprising lines and documents, a bounded number of them, of however many there are. */
import type { Surprise } from "../../use/score/records.ts";

/** By what surprise is compared. */
export const measureNames = ["bits", "byte", "token", "highest"] as const;
export type MeasureName = (typeof measureNames)[number];

/** Bits: of all of it, a byte, a token, or of its most surprising token. */
export function measured(surprise: Surprise, by: MeasureName): number {
  if (by === "bits") return surprise.bits;
  if (by === "byte") return surprise.bitsPerByte;
  return by === "token" ? (surprise.bitsPerToken ?? 0) : surprise.highest;
}

/** The highest of the values that have been added; of equal ones those that came first. */
export class Highest<Value> {
  readonly #most: number;
  /** In falling order. */
  readonly #kept: { readonly value: Value; readonly height: number }[] = [];
  /** Values that have been added. */
  count = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(value: Value, height: number): void {
    this.count++;
    let at = this.#kept.length;
    while (at > 0 && this.#kept[at - 1].height < height) at--;
    if (at === this.#most) return;
    this.#kept.splice(at, 0, { value, height });
    if (this.#kept.length > this.#most) this.#kept.pop();
  }

  get values(): readonly Value[] {
    return this.#kept.map(({ value }) => value);
  }
}
