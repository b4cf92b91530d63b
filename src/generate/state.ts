/**
 * The state of decoding on the host, for any number of texts and any architecture, as the entries of its state declare.
 * Programs read the arrays in place and return only changes, which are stored here: for FLASH a few kilobytes per step.
 */
import type { HostTensor } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../base/shape.ts";
import { type ChangedEntry, type DecodingArchitecture, entryShape, type Room } from "../nn/decoding.ts";
import type { StateChange } from "../nn/layer.ts";

/** For each changed entry: its array, and where its changes are in the flat output of a program. */
export type StorePlan = readonly {
  readonly array: Float32Array;
  readonly change: StateChange;
  /** Index of the first change of text 0, and the numbers of elements per text there and in the array. */
  readonly from: number;
  readonly size: number;
  readonly each: number;
  /** New rows per block, their width, blocks (heads) per text, and elements per block in the array. */
  readonly P: number;
  readonly width: number;
  readonly blocks: number;
  readonly block: number;
}[];

export class DecodingState {
  readonly texts: number;
  /** By `state.LAYER.NAME`, [B, …]; an entry that grows is moved to a new array. */
  readonly arrays: Record<string, Float32Array> = {};
  readonly #architecture: DecodingArchitecture;
  readonly #positions: number[];
  /** Initial rows of entries that grow with tokens and with spans; Infinity where there is none. */
  readonly #firstRows: Room;
  #room: Room = { tokens: 0, spans: 0 };
  #generation = 0;

  constructor(architecture: DecodingArchitecture, texts: number) {
    this.#architecture = architecture;
    this.texts = texts;
    this.#positions = new Array<number>(texts).fill(0);
    const initialRows = (change: StateChange) =>
      Math.min(
        ...[...architecture.state.values()]
          .filter((entry) => entry.change === change)
          .map(({ shape }) => shape[shape.length - 2]),
      );
    this.#firstRows = { tokens: initialRows("token-rows"), spans: initialRows("span-rows") };
    this.#allocate();
  }

  /**
   * The state of one text that has been kept elsewhere: its entries [...] by key, for so many tokens. They are taken as they
   * are, not copied. Throws "checkpoint" naming the entry that is missing or has another shape, whatever `position` says.
   */
  static restored(
    architecture: DecodingArchitecture,
    position: number,
    entries: Readonly<Record<string, HostTensor>>,
  ): DecodingState {
    const state = new DecodingState(architecture, 1);
    const room = state.roomFor([position]);
    for (const [key, entry] of architecture.state) {
      const expected = entryShape(entry, 1, room);
      const { dtype, shape } = entries[key] ?? {};
      if (dtype !== "float32" || shape === undefined || !sameShape(shape, expected)) {
        const got = shape === undefined ? "none" : `${dtype} ${showShape(shape)}`;
        throw new LonghandError("checkpoint", `${key}: expected float32 ${showShape(expected)}, got ${got}`);
      }
    }
    for (const key of architecture.state.keys()) state.arrays[key] = entries[key].data as Float32Array;
    state.#room = room;
    state.#positions[0] = position;
    return state;
  }

  /** The entries of a state of one text, as `restored` takes them. */
  entries(): Record<string, HostTensor> {
    return Object.fromEntries(
      [...this.#architecture.state].map(([key, entry]) => {
        return [key, { dtype: "float32", shape: entryShape(entry, 1, this.#room), data: this.arrays[key] }];
      }),
    );
  }

  get room(): Room {
    return this.#room;
  }

  get bytes(): number {
    return Object.values(this.arrays).reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** Tokens read so far of a text. */
  position(text: number): number {
    return this.#positions[text];
  }

  /** Tokens in its open span. */
  open(text: number): number {
    const { span } = this.#architecture;
    return Number.isFinite(span) ? this.#positions[text] % span : this.#positions[text];
  }

  closed(text: number): number {
    return Math.floor(this.#positions[text] / this.#architecture.span);
  }

  /** Changes whenever arrays are replaced by larger or smaller ones. */
  get generation(): number {
    return this.#generation;
  }

  /** The room for so many more tokens of each text: the present object where it suffices. */
  roomFor(counts: readonly number[]): Room {
    const { tokens, spans } = this.#firstRows;
    let longest = 0;
    for (let text = 0; text < this.texts; text++) longest = Math.max(longest, this.#positions[text] + counts[text]);
    const doublings = (first: number, needed: number) => Math.max(0, Math.ceil(Math.log2(needed / first)));
    const more = {
      tokens: Math.max(this.#room.tokens, doublings(tokens, longest)),
      spans: Math.max(this.#room.spans, doublings(spans, Math.floor(longest / this.#architecture.span))),
    };
    return more.tokens === this.#room.tokens && more.spans === this.#room.spans ? this.#room : more;
  }

  /** Doubles entries that grow until so many more tokens of each text fit. */
  makeRoom(counts: readonly number[]): void {
    const { state } = this.#architecture;
    const before = this.#room;
    this.#room = this.roomFor(counts);
    if (this.#room === before) return;
    this.#generation++;
    for (const [key, entry] of state) {
      const [from, to] = [entryShape(entry, this.texts, before), entryShape(entry, this.texts, this.#room)];
      if (sizeOf(from) !== sizeOf(to)) this.arrays[key] = withMoreRows(this.arrays[key], from, to);
    }
  }

  /** Where the changes of a program go; valid until the generation changes. */
  planOf(changed: readonly ChangedEntry[]): StorePlan {
    let from = 0;
    return changed.map(({ key, shape }) => {
      const change = this.#architecture.state.get(key)?.change ?? "replaced";
      const size = sizeOf(shape) / this.texts;
      const array = this.arrays[key];
      const each = array.length / this.texts;
      const [P, width] = change === "replaced" ? [1, size] : shape.slice(-2);
      const blocks = size / (P * width);
      const place = { array, change, from, size, each, P, width, blocks, block: each / blocks };
      from += size * this.texts;
      return place;
    });
  }

  /** Stores the changes of a step for the first `counts` tokens of each text, and counts these as read. */
  store(changes: Float32Array, plan: StorePlan, counts: readonly number[]): void {
    for (let text = 0; text < this.texts; text++) {
      const count = counts[text];
      if (count === 0) continue;
      const open = this.open(text);
      for (const place of plan) {
        const row = place.change === "replaced" ? 0 : place.change === "open-rows" ? open : this.#positions[text];
        write(changes, place, text, { row, rows: place.change === "replaced" ? 1 : count });
      }
    }
    this.advance(counts);
  }

  /** Counts tokens as read. */
  advance(counts: readonly number[]): void {
    for (let text = 0; text < this.texts; text++) this.#positions[text] += counts[text];
  }

  /** Stores the changes of closing spans, for the texts whose open span has just become full. */
  storeClosed(changes: Float32Array, plan: StorePlan, texts: Iterable<number>): void {
    for (const text of texts) {
      for (const place of plan) {
        write(changes, place, text, { row: place.change === "replaced" ? 0 : this.closed(text) - 1, rows: 1 });
      }
    }
  }

  /** Starts a new text. */
  reset(text: number): void {
    this.#positions[text] = 0;
    for (const [key, { initial }] of this.#architecture.state) this.#ofText(key, text).fill(initial);
  }

  /** Starts new texts in place of all, with the memory that new texts need. */
  resetAll(): void {
    this.#positions.fill(0);
    const grown = this.#room.tokens > 0 || this.#room.spans > 0;
    this.#room = { tokens: 0, spans: 0 };
    if (grown) this.#allocate();
    else for (const [key, { initial }] of this.#architecture.state) this.arrays[key].fill(initial);
  }

  /** Copies `text` of another state of the same architecture to text `here`. */
  copyFrom(other: DecodingState, text: number, here: number): void {
    this.#positions[here] = 0;
    const counts = new Array<number>(this.texts).fill(0);
    counts[here] = other.position(text);
    this.makeRoom(counts);
    this.#positions[here] = other.position(text);
    for (const [key, entry] of this.#architecture.state) {
      const from = entryShape(entry, 1, other.room);
      const to = entryShape(entry, 1, this.#room);
      copyRows({ from: other.#ofText(key, text), shape: from }, { to: this.#ofText(key, here), shape: to });
    }
  }

  #allocate(): void {
    this.#generation++;
    for (const [key, entry] of this.#architecture.state) {
      this.arrays[key] = new Float32Array(sizeOf(entryShape(entry, this.texts, this.#room))).fill(entry.initial);
    }
  }

  #ofText(key: string, text: number): Float32Array {
    const each = this.arrays[key].length / this.texts;
    return this.arrays[key].subarray(text * each, (text + 1) * each);
  }
}

/**
 * Copies the first `rows` of P rows of each block of a text, [blocks, P, width] in `changes`, to rows from `row` on of
 * the text's entry, [blocks, n, width].
 */
function write(
  changes: Float32Array,
  { array, from, size, each, P, width, blocks, block }: StorePlan[number],
  text: number,
  { row, rows }: { readonly row: number; readonly rows: number },
): void {
  const source = from + text * size;
  const target = text * each + row * width;
  for (let k = 0; k < blocks; k++) {
    const at = source + k * P * width;
    array.set(changes.subarray(at, at + rows * width), target + k * block);
  }
}

/** The same rows in an array with more: [B, lead, n, width] each. */
function withMoreRows(data: Float32Array, from: Shape, to: Shape): Float32Array {
  const larger = new Float32Array(sizeOf(to));
  copyRows({ from: data, shape: from }, { to: larger, shape: to });
  return larger;
}

/** Copies as many rows as both have: [..., n, width] each. */
function copyRows(
  { from, shape }: { readonly from: Float32Array; readonly shape: Shape },
  { to, shape: toShape }: { readonly to: Float32Array; readonly shape: Shape },
): void {
  if (from.length === to.length) {
    to.set(from);
    return;
  }
  const block = sizeOf(shape.slice(-2));
  const toBlock = sizeOf(toShape.slice(-2));
  const size = Math.min(block, toBlock);
  for (let at = 0, k = 0; at < from.length; at += block, k++) to.set(from.subarray(at, at + size), k * toBlock);
}
