/**
 * Finds stop strings in text that arrives in pieces. Text that may be the beginning of a stop string is held back until
 * it is clear, so that nothing of a stop string is ever passed on. The result does not depend on how the text is cut:
 * the match that ends first counts, as if characters came one at a time.
 */
import { LonghandError } from "../base/errors.ts";

export class StopStrings {
  readonly #stops: readonly string[];
  readonly #longest: number;
  #held = "";
  #found = false;

  /** Throws "usage" for an empty stop string. */
  constructor(stops: readonly string[]) {
    if (stops.includes("")) throw new LonghandError("usage", "`stop`: expected some text, got an empty one");
    this.#stops = stops;
    this.#longest = Math.max(0, ...stops.map((stop) => stop.length));
  }

  /** Whether a stop string has come; from then on no text comes out. */
  get found(): boolean {
    return this.#found;
  }

  /** Takes a piece and returns the text that is certain to stand before any stop string. */
  push(piece: string): string {
    if (this.#found) return "";
    const text = this.#held + piece;
    const start = this.#firstMatch(text);
    if (start !== undefined) {
      this.#found = true;
      this.#held = "";
      return text.slice(0, start);
    }
    const keep = text.length - this.#undecided(text);
    this.#held = text.slice(keep);
    return text.slice(0, keep);
  }

  /** The text still held back: to be called when no more comes. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }

  #firstMatch(text: string): number | undefined {
    let best: { start: number; end: number } | undefined;
    for (const stop of this.#stops) {
      const start = text.indexOf(stop);
      const end = start + stop.length;
      if (start >= 0 && (!best || end < best.end || (end === best.end && start < best.start))) best = { start, end };
    }
    return best?.start;
  }

  /** Length of the longest end of `text` with which a stop string begins. */
  #undecided(text: string): number {
    for (let length = Math.min(text.length, this.#longest - 1); length > 0; length--) {
      const end = text.slice(text.length - length);
      if (this.#stops.some((stop) => stop.startsWith(end))) return length;
    }
    return 0;
  }
}
