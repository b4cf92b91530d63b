/**
 * A block of Snappy (https://github.com/google/snappy/blob/main/format_description.txt), decoded as a stream. Packages
 * for JavaScript need the whole block and its whole output in memory, too much for pages of hundreds of megabytes
 * (parquet-pages.ts); here a window is enough. Encoders refer back 64 kB at most; a block that refers back beyond the
 * window is refused.
 */

/** How far back a block may refer, and how much output is collected before it is passed on. */
const WINDOW = 1024 * 1024;
const CAPACITY = 4 * WINDOW;

/** The bytes of a block that arrives in parts. Throws an Error that says what is wrong with it. */
export async function* unsnappy(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const output = Buffer.alloc(CAPACITY);
  let filled = 0; // of `output`
  let sent = 0; // of what is filled
  let total = 0; // made before `output`
  let size = -1; // of the whole block, once it is known
  let literal = 0; // bytes of a literal still to come
  let input: Buffer = Buffer.alloc(0);

  /** Returns the output that was not passed on yet, and keeps the window. */
  const flush = (): Buffer => {
    const ready = Buffer.from(output.subarray(sent, filled));
    const keep = Math.min(filled, WINDOW);
    output.copy(output, 0, filled - keep, filled);
    total += filled - keep;
    filled = keep;
    sent = keep;
    return ready;
  };

  for await (const chunk of chunks) {
    input = input.length === 0 ? chunk : Buffer.concat([input, chunk]);
    let at = 0;
    if (size < 0) {
      const length = varint(input);
      if (length === undefined) continue;
      ({ value: size, end: at } = length);
    }
    while (at < input.length) {
      if (literal > 0) {
        if (filled === CAPACITY) yield flush();
        const count = Math.min(literal, input.length - at, CAPACITY - filled);
        input.copy(output, filled, at, at + count);
        filled += count;
        at += count;
        literal -= count;
        continue;
      }
      const tag = input[at];
      const kind = tag & 3;
      const extra = kind === 0 ? Math.max(0, (tag >> 2) - 59) : kind === 3 ? 4 : kind;
      if (at + extra >= input.length) break; // the rest of the element is in the next part
      const number = extra === 0 ? 0 : input.readUIntLE(at + 1, extra);
      at += 1 + extra;
      if (kind === 0) {
        literal = (extra === 0 ? tag >> 2 : number) + 1;
        continue;
      }
      const length = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
      const offset = kind === 1 ? ((tag >> 5) << 8) | number : number;
      if (filled + length > CAPACITY) yield flush();
      if (offset === 0 || offset > filled)
        throw new Error(`Snappy data look back ${offset} bytes of ${total + filled}`);
      for (let i = 0; i < length; i++) output[filled + i] = output[filled + i - offset];
      filled += length;
    }
    input = input.subarray(at);
    if (filled - sent >= WINDOW) yield flush();
  }
  if (filled > sent) yield flush();
  if (literal > 0 || input.length > 0 || total + filled !== size) {
    throw new Error(`Snappy data end after ${total + filled} of ${size} bytes`);
  }
}

function varint(bytes: Buffer): { value: number; end: number } | undefined {
  let value = 0;
  for (let i = 0; i < Math.min(5, bytes.length); i++) {
    value += (bytes[i] & 0x7f) * 2 ** (7 * i);
    if (bytes[i] < 0x80) return { value, end: i + 1 };
  }
  if (bytes.length >= 5) throw new Error("Snappy data have no length");
  return undefined;
}
