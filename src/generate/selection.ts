/**
 * The first of many values by rank, without sorting all: quickselect (Hoare 1961) by count or by weight, in linear
 * time. Sorting the vocabulary for every token would cost as much as a step of a small model.
 */

/** Ids below this and 32 bits of value fit together into the 53 exact bits of a float64. */
const ID_SPAN = 2 ** 21;

/**
 * One number for each value, or for those of the given indices, that also holds its index: the smallest key belongs to
 * the largest value, and among equal values to the lowest index. Keys are distinct and compare as numbers. They are
 * written to the beginning of `keys`.
 */
export function rankedKeys(
  values: Float32Array,
  { ids, keys = new Float64Array(values.length) }: { readonly ids?: Int32Array; readonly keys?: Float64Array } = {},
): Float64Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const count = ids?.length ?? values.length;
  for (let i = 0; i < count; i++) {
    const id = ids === undefined ? i : ids[i];
    const negative = values[id] < 0; // false for -0, which ranks like 0
    const descending = negative ? bits[id] : 0x7fffffff - (bits[id] & 0x7fffffff);
    keys[i] = descending * ID_SPAN + id;
  }
  return keys.subarray(0, count);
}

/** The indices that keys hold, written to the beginning of `ids`. */
export function idsOf(keys: Float64Array, ids: Int32Array = new Int32Array(keys.length)): Int32Array {
  for (let i = 0; i < keys.length; i++) ids[i] = keys[i] - Math.floor(keys[i] / ID_SPAN) * ID_SPAN; // % is slower
  return ids.subarray(0, keys.length);
}

/** The sum of `weights` over the indices of keys from … to - 1. */
export function totalWeight(keys: Float64Array, weights: Float64Array, from = 0, to = keys.length): number {
  let total = 0;
  for (let i = from; i < to; i++) total += weights[keys[i] - Math.floor(keys[i] / ID_SPAN) * ID_SPAN];
  return total;
}

/** The `count` smallest keys, in no order, as a view of `keys`, which it reorders. */
export function firstByCount(keys: Float64Array, count: number): Float64Array {
  if (count >= keys.length) return keys;
  let from = 0;
  let to = keys.length - 1;
  while (from < to) {
    const end = partition(keys, from, to);
    if (count <= end + 1) to = end;
    else from = end + 1;
  }
  return keys.subarray(0, count);
}

/** The fewest smallest keys whose weights add up to `mass`, in no order, as a view of `keys`, which it reorders. */
export function firstByWeight(keys: Float64Array, weights: Float64Array, mass: number): Float64Array {
  let from = 0;
  let to = keys.length - 1;
  let before = 0; // weight of the keys ahead of `from`
  while (from < to) {
    const end = partition(keys, from, to);
    const part = totalWeight(keys, weights, from, end + 1);
    if (before + part >= mass) to = end;
    else {
      before += part;
      from = end + 1;
    }
  }
  return keys.subarray(0, from + 1);
}

/** Divides keys from … to into two non-empty parts, smaller keys first; returns the last index of the first. */
function partition(keys: Float64Array, from: number, to: number): number {
  const pivot = keys[(from + to) >> 1];
  let i = from - 1;
  let j = to + 1;
  for (;;) {
    do i++;
    while (keys[i] < pivot);
    do j--;
    while (keys[j] > pivot);
    if (i >= j) return j;
    const swapped = keys[i];
    keys[i] = keys[j];
    keys[j] = swapped;
  }
}
