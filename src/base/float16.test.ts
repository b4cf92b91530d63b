import { expect, it } from "vitest";
import { FLOAT16_MAX, fromFloat16, toFloat16 } from "./float16.ts";
import { randomKey, randomNormals } from "./random.ts";

const all = Uint16Array.from({ length: 2 ** 16 }, (_, half) => half);
const values = fromFloat16(all);
const isNaNHalf = (half: number) => (half & 0x7fff) > 0x7c00;

it("has every half-precision number, which comes back as the same bits", () => {
  const back = toFloat16(values);
  for (const half of all) {
    if (isNaNHalf(half)) expect(values[half]).toBeNaN();
    else expect(back[half], `${half}`).toBe(half);
  }
  expect([0x0001, 0x03ff, 0x0400, 0x3c00, 0x3555, 0x7bff, 0xfc00].map((half) => values[half])).toEqual([
    2 ** -24,
    1023 * 2 ** -24,
    2 ** -14,
    1,
    0.333251953125,
    FLOAT16_MAX,
    Number.NEGATIVE_INFINITY,
  ]);
  expect(Object.is(values[0x8000], -0)).toBe(true);
});

it("rounds to the nearest, ties to even", () => {
  for (let half = 0; half < 0x7bff; half++) {
    const [below, above] = [values[half], values[half + 1]];
    const middle = Math.fround((below + above) / 2); // exact: float32 has more bits
    const even = half % 2 === 0 ? half : half + 1;
    const near = (value: number, toward: number) => Math.fround(value + (toward - value) / 64);
    const rounded = toFloat16(Float32Array.of(middle, near(middle, below), near(middle, above), -middle));
    expect([...rounded]).toEqual([even, half, half + 1, even | 0x8000]);
  }
});

it("is infinite beyond the largest, and not a number where nothing is", () => {
  const large = Float32Array.of(65519, 65520, 65536, 1e30, Number.NEGATIVE_INFINITY, Number.NaN);
  expect([...toFloat16(large)]).toEqual([0x7bff, 0x7c00, 0x7c00, 0x7c00, 0xfc00, 0x7e00]);
});

it("is within half a unit in the last place of 11 bits", () => {
  const data = randomNormals(randomKey(1, "halves"), 10_000, 1);
  const halves = fromFloat16(toFloat16(data));
  for (const [i, value] of data.entries())
    expect(Math.abs(halves[i] - value)).toBeLessThanOrEqual(2 ** -11 * Math.abs(value) + 2 ** -25);
});
