/**
 * The texts that are written together, each in a place of one batch. The batch has one place, or four, eight, sixteen, …
 * (two texts take as long as four: docs/decisions/0045-serving.md). In a batch of one size a text gets the same bits whatever
 * its place and who else is there.
 */

import type { TokenReader } from "../../generate/reader.ts";
import type { Session } from "../../generate/session.ts";

/** Where a text is; it moves when the size of the batch changes. */
export interface Place {
  slot: number;
}

/** Steps with fewer texts than a smaller batch would hold before the batch becomes smaller. */
const PATIENCE = 16;

export class Batch {
  readonly #session: Session;
  readonly #sizes: readonly number[];
  readonly #grows: boolean;
  readonly #readers = new Map<number, TokenReader>();
  readonly #places: Place[] = [];
  #size: number;
  #stepsTooLarge = 0;

  /** At most `most` texts; `exact`: always in a batch of the same size. */
  constructor(session: Session, { most, exact }: { readonly most: number; readonly exact: boolean }) {
    this.#session = session;
    this.#sizes = sizesFor(most, exact);
    this.#size = this.#sizes[0];
    this.#grows = [...session.architecture.state.values()].some(({ change }) => /^(token|span)-rows$/.test(change));
  }

  /** Places of the batch as it is, 0 without texts. */
  get size(): number {
    return this.#places.length === 0 ? 0 : this.#size;
  }

  get texts(): number {
    return this.#places.length;
  }

  /** Adds the text that `from`, a reader of one, has read. Calls of these functions must not overlap. */
  async join(from: TokenReader): Promise<Place> {
    await this.#resize(this.#sizeFor(this.#places.length + 1));
    const taken = new Set(this.#places.map(({ slot }) => slot));
    const place = { slot: 0 };
    while (taken.has(place.slot)) place.slot++;
    await this.#reader.copyFrom(from, 0, place.slot);
    this.#places.push(place);
    return place;
  }

  async leave(place: Place): Promise<void> {
    this.#places.splice(this.#places.indexOf(place), 1);
    // A state that grows with its text would keep the whole batch large.
    if (this.#grows) await this.#reader.onHost(() => this.#reader.state.reset(place.slot));
    if (this.#grows && this.#places.length === 0) this.#reader.reset();
  }

  /** Copies the text to `to`, a reader of one. */
  async copy({ slot }: Place, to: TokenReader): Promise<void> {
    await to.copyFrom(this.#reader, slot, 0);
  }

  /** Reads a token of some texts. Returns the logits [V] of each in turn; the next call overwrites them. */
  async step(tokens: ReadonlyMap<Place, number>): Promise<Float32Array[]> {
    await this.#shrink();
    const bySlot = Array.from({ length: this.#size }, () => new Int32Array());
    for (const [{ slot }, token] of tokens) bySlot[slot] = Int32Array.of(token);
    const { result } = await this.#reader.read({ tokens: bySlot, readout: "last" });
    const V = this.#session.architecture.vocabSize;
    return [...tokens.keys()].map(({ slot }) => result.subarray(slot * V, (slot + 1) * V));
  }

  get #reader(): TokenReader {
    const known = this.#readers.get(this.#size) ?? this.#session.reader(this.#size);
    this.#readers.set(this.#size, known);
    return known;
  }

  #sizeFor(texts: number): number {
    const enough = this.#sizes.find((size) => size >= texts) ?? this.#sizes[this.#sizes.length - 1];
    return Math.max(enough, this.#places.length === 0 ? 0 : this.#size);
  }

  async #shrink(): Promise<void> {
    const enough = this.#sizes.find((size) => size >= this.#places.length) ?? this.#size;
    this.#stepsTooLarge = enough < this.#size ? this.#stepsTooLarge + 1 : 0;
    if (this.#stepsTooLarge >= PATIENCE) await this.#resize(enough);
  }

  async #resize(size: number): Promise<void> {
    if (size === this.#size) return;
    const before = this.#reader;
    this.#size = size;
    this.#stepsTooLarge = 0;
    for (const [slot, place] of this.#places.entries()) {
      await this.#reader.copyFrom(before, place.slot, slot);
      place.slot = slot;
    }
    if (this.#grows) before.reset();
  }
}

/** 1, 4, 8, 16, … up to a size that holds `most`; where results are to be exact, that size alone. */
export function sizesFor(most: number, exact: boolean): number[] {
  const sizes = [1];
  for (let size = 4; (sizes.at(-1) ?? 0) < most; size *= 2) sizes.push(size);
  return exact ? sizes.slice(-1) : sizes;
}
