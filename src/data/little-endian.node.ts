/** Typed arrays as the bytes of a file, whose numbers are little-endian. */
import { endianness } from "node:os";

/** The bytes of a typed array as they stand in a file, and back: the same memory, swapped on a big-endian machine. */
export function littleEndian(array: Uint16Array | Uint32Array | BigUint64Array): Buffer {
  const bytes = Buffer.from(array.buffer, array.byteOffset, array.byteLength);
  if (endianness() === "LE") return bytes;
  const width = array.BYTES_PER_ELEMENT;
  return width === 2 ? bytes.swap16() : width === 4 ? bytes.swap32() : bytes.swap64();
}
