/**
 * Before every test file: equal typed arrays are found equal by a loop. By itself toEqual compares them as objects, key
 * by key, which takes several hundred times as long. What differs is left to toEqual, which says where.
 */
import { expect } from "vitest";

const isTypedArray = (value: unknown): value is ArrayLike<unknown> & ArrayBufferView =>
  ArrayBuffer.isView(value) && !(value instanceof DataView);

expect.addEqualityTesters([
  (a: unknown, b: unknown) => {
    if (!isTypedArray(a) || !isTypedArray(b)) return undefined;
    if (a.constructor !== b.constructor || a.length !== b.length) return undefined;
    for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return undefined;
    return true;
  },
]);
