/**
 * SHA-256 (FIPS 180-4) without Node and without waiting: a browser's own is asynchronous, and absent from pages that were
 * not loaded over a secure connection. Node uses its own (files.node.ts).
 */

const FIRST_PRIMES = primes(64);
/** The first 32 bits of the fractional parts of the primes' cube roots; the state begins with those of square roots. */
const ROUND = fractions(FIRST_PRIMES, Math.cbrt);

/** 64 hexadecimal digits, of parts one after the other; of a text, its UTF-8 bytes. */
export function sha256Hex(...parts: readonly (Uint8Array | string)[]): string {
  const state = fractions(FIRST_PRIMES.slice(0, 8), Math.sqrt);
  const words = new Int32Array(64);
  const block = new Uint8Array(64);
  const blockView = new DataView(block.buffer);
  let filled = 0;
  let total = 0;
  const add = (bytes: Uint8Array): void => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at < bytes.length; ) {
      if (filled === 0 && at + 64 <= bytes.length) {
        compress(state, view, at, words);
        at += 64;
        continue;
      }
      const some = bytes.subarray(at, at + 64 - filled);
      block.set(some, filled);
      at += some.length;
      filled = (filled + some.length) % 64;
      if (filled === 0) compress(state, blockView, 0, words);
    }
    total += bytes.length;
  };
  for (const part of parts) add(typeof part === "string" ? new TextEncoder().encode(part) : part);
  const end = new DataView(new ArrayBuffer(filled < 56 ? 64 - filled : 128 - filled));
  end.setUint8(0, 0x80);
  end.setBigUint64(end.byteLength - 8, 8n * BigInt(total));
  add(new Uint8Array(end.buffer));
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

/** Takes the 64 bytes from `at` into the state; `words` is room for the message schedule. */
function compress(state: Int32Array, view: DataView, at: number, words: Int32Array): void {
  for (let i = 0; i < 16; i++) words[i] = view.getInt32(at + 4 * i);
  for (let i = 16; i < 64; i++) {
    const [x, y] = [words[i - 15], words[i - 2]];
    const s0 = rotated(x, 7) ^ rotated(x, 18) ^ (x >>> 3);
    const s1 = rotated(y, 17) ^ rotated(y, 19) ^ (y >>> 10);
    words[i] = (words[i - 16] + s0 + words[i - 7] + s1) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[i] + words[i]) | 0;
    const s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  const next = [a, b, c, d, e, f, g, h];
  for (let i = 0; i < 8; i++) state[i] = (state[i] + next[i]) | 0;
}

function rotated(x: number, by: number): number {
  return (x >>> by) | (x << (32 - by));
}

function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}

/** A double holds the whole part (below 32) of each root and 47 bits of its fraction. */
function fractions(numbers: readonly number[], root: (n: number) => number): Int32Array {
  return Int32Array.from(numbers, (n) => Math.floor((root(n) % 1) * 2 ** 32) | 0);
}
