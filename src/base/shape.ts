/** Shape arithmetic: sizes, axes and NumPy/ONNX broadcasting. A shape is a list of fixed, non-negative integers. */
import { LonghandError } from "./errors.ts";

export type Shape = readonly number[];

/** Number of elements. The empty shape is a scalar: 1. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, n) => product * n, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

/** An axis counted from the end when negative, checked against the rank. */
export function normalizeAxis(axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(normal) || normal < 0 || normal >= rank) {
    throw new LonghandError("graph", `axis: expected an integer from ${-rank} to ${rank - 1}, got ${axis}`);
  }
  return normal;
}

/** The shape that a and b broadcast to, aligned at the last axis; undefined when they do not fit. */
export function broadcastShapes(a: Shape, b: Shape): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 1; i <= rank; i++) {
    const m = a[a.length - i] ?? 1;
    const n = b[b.length - i] ?? 1;
    if (m !== n && m !== 1 && n !== 1) return undefined;
    out[rank - i] = m === 1 ? n : m;
  }
  return out;
}

/** The axes of `to` along which `from` was repeated by broadcasting. */
export function broadcastAxes(from: Shape, to: Shape): number[] {
  const axes: number[] = [];
  const offset = to.length - from.length;
  for (let i = 0; i < to.length; i++) {
    if (i < offset || (from[i - offset] === 1 && to[i] !== 1)) axes.push(i);
  }
  return axes;
}

export function showShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}
