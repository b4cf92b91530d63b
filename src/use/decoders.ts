/**
 * The decoders of a loaded model, which share their compiled programs. One that was given back is used again; while all are
 * in use, another is made, with a state of its own.
 */
import type { Decoder } from "../generate/decoder.ts";

export class Decoders {
  readonly #make: () => Promise<Decoder>;
  #first: Promise<Decoder> | undefined;
  readonly #free: Decoder[] = [];

  constructor(make: () => Promise<Decoder>) {
    this.#make = make;
  }

  /** A decoder at the beginning of a text, for the caller alone until it is given back. */
  async take(): Promise<Decoder> {
    if (this.#first === undefined) {
      this.#first = this.#make();
      return this.#first;
    }
    const decoder = this.#free.pop() ?? (await (await this.#first).fork());
    await decoder.reset();
    return decoder;
  }

  giveBack(decoder: Decoder): void {
    this.#free.push(decoder);
  }
}
