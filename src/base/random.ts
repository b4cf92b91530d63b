/**
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel Random Numbers: As Easy as
 * 1, 2, 3"). There is no generator with hidden state: a key names a stream (seed, purpose, step), and the i-th number
 * of a stream is a pure function of key and i. Resuming therefore needs no saved generator, only the step.
 */

export type RandomKey = readonly [number, number];

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** High 32 bits of the 64-bit product of two unsigned 32-bit integers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(cross / 65536)) >>> 0;
}

/** One Philox4x32-10 block: four words from a four-word counter, written to `out`. */
export function philox(counter: readonly [number, number, number, number], key: RandomKey, out: Uint32Array): void {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/**
 * The key of a stream: a seed, the purpose of the numbers, a step within it. Distinct triples give unrelated streams.
 */
export function randomKey(seed: number, stream: string, step = 0): RandomKey {
  let a = 0x811c9dc5;
  for (let i = 0; i < stream.length; i++) a = Math.imul(a ^ stream.charCodeAt(i), 0x01000193);
  const out = new Uint32Array(4);
  philox(
    [seed >>> 0, Math.floor(seed / 4294967296) >>> 0, step >>> 0, Math.floor(step / 4294967296) >>> 0],
    [a >>> 0, stream.length],
    out,
  );
  return [out[0], out[1]];
}

/** The index-th unsigned 32-bit integer of a stream. */
export function randomUint32(key: RandomKey, index: number): number {
  const out = new Uint32Array(4);
  philox([index >>> 0, Math.floor(index / 4294967296) >>> 0, 0, 0], key, out);
  return out[0];
}

/** The index-th number of a stream, uniform in [0, 1). */
export function randomUniform(key: RandomKey, index: number): number {
  return randomUint32(key, index) / 4294967296;
}

/** `count` independent normal numbers of mean 0 and the given standard deviation (Box and Muller 1958). */
export function randomNormals(key: RandomKey, count: number, deviation = 1): Float32Array {
  const normals = new Float32Array(count);
  const words = new Uint32Array(4);
  for (let i = 0; i < count; i += 4) {
    philox([i >>> 0, Math.floor(i / 4294967296) >>> 0, 1, 0], key, words);
    for (let j = 0; j < 4; j += 2) {
      const radius = deviation * Math.sqrt(-2 * Math.log((words[j] + 1) / 4294967296));
      const angle = (2 * Math.PI * words[j + 1]) / 4294967296;
      if (i + j < count) normals[i + j] = radius * Math.cos(angle);
      if (i + j + 1 < count) normals[i + j + 1] = radius * Math.sin(angle);
    }
  }
  return normals;
}

/**
 * Where element `index` goes under a seeded permutation of 0 … count - 1, in constant memory: a four-round Feistel
 * network over the next power of four, walked until it lands inside the range (Black and Rogaway 2002, "cycle
 * walking").
 */
export function permuteIndex(key: RandomKey, count: number, index: number): number {
  let half = 1;
  while (4 ** half < count) half++;
  const base = 2 ** half;
  const words = new Uint32Array(4);
  let value = index;
  do {
    let left = Math.floor(value / base);
    let right = value % base;
    for (let round = 0; round < 4; round++) {
      philox([right, round, 2, 0], key, words);
      [left, right] = [right, (left ^ words[0]) & (base - 1)];
      if (right < 0) right += base;
    }
    value = left * base + right;
  } while (value >= count);
  return value;
}
