/**
 * Finds stop strings in text that arrives in pieces. Text that may be the start of a stop string is held back until
 * that is decided, so that no part of a stop string is ever returned. The result does not depend on the division into
 * pieces: the match that ends first counts, as if characters came one at a time.
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

  /** Whether a stop string has been found; from then on no text is returned. */
  get found(): boolean {
    return this.#found;
  }

  /** Takes a piece and returns the text that certainly comes before any stop string. */
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

  /** The text still held back; to be called after the last piece. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
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

  /** Length of the longest suffix of `text` that is a prefix of a stop string. */
  #undecided(text: string): number {
    for (let length = Math.min(text.length, this.#longest - 1); length > 0; length--) {
      const end = text.slice(text.length - length);
      if (this.#stops.some((stop) => stop.startsWith(end))) return length;
    }
    return 0;
  }
}
