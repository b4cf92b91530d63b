/**
 * Many tensors side by side in a few large ones, so that an optimiser in the graph is a dozen operators however many
 * parameters a model has: on a graphics card each operator costs its launch, whatever its size.
 */

import { type Shape, sizeOf } from "../base/shape.ts";
import { scalar, type Tensor } from "../graph/tensor.ts";
import type { Parameter } from "../nn/scope.ts";

/** A parameter; role: default other. */
export type FlatPart = Pick<Parameter, "path" | "shape"> & Partial<Pick<Parameter, "role">>;

/** Tensors of one kind, one after the other, then zeros up to a whole number of rows: float32 [rows, ROW]. */
export interface FlatGroup {
  readonly parts: readonly FlatPart[];
  readonly rows: number;
}

/** Sums run over a row, then over all rows: shorter sums round less, and keep more of a device busy. */
const ROW = 1024;
/** Bytes of a group, unless one tensor is larger: half of what every WebGPU device can bind as one buffer. */
const GROUP_BYTES = 2 ** 26;

/** What an optimiser may tell apart: maps, tables, other matrices, vectors. */
function kindOf({ shape, role = "other" }: FlatPart): string {
  if (role !== "other") return typeof role === "object" ? "map" : "table";
  return shape.length > 1 ? "matrix" : "vector";
}

/** Divides tensors into groups of one kind each, in their order. */
export function flatGroups(parts: readonly FlatPart[], mostBytes = GROUP_BYTES): FlatGroup[] {
  const groups: FlatGroup[] = [];
  for (const kind of ["map", "table", "matrix", "vector"]) {
    let open: FlatPart[] = [];
    let size = 0;
    const close = () => {
      if (open.length > 0) groups.push({ parts: open, rows: Math.ceil(size / ROW) });
      open = [];
      size = 0;
    };
    for (const part of parts) {
      if (kindOf(part) !== kind) continue;
      if (4 * (size + sizeOf(part.shape)) > mostBytes) close();
      open.push(part);
      size += sizeOf(part.shape);
    }
    close();
  }
  return groups;
}

export const flatShape = ({ rows }: FlatGroup): Shape => [rows, ROW];

const padding = ({ parts, rows }: FlatGroup) => rows * ROW - parts.reduce((sum, { shape }) => sum + sizeOf(shape), 0);

/** The tensors of a group, by path, as [rows, ROW]. */
export function flatten(group: FlatGroup, tensors: ReadonlyMap<string, Tensor>): Tensor {
  const flat = group.parts.map(({ path, shape }) => (tensors.get(path) as Tensor).reshape([sizeOf(shape)]));
  const fill = padding(group) > 0 ? [scalar(0).expand([padding(group)])] : [];
  const [first, ...others] = [...flat, ...fill];
  return first.concat(others, 0).reshape(flatShape(group));
}

/** The tensors that a group holds, in the order of its parts. */
export function unflatten(group: FlatGroup, flat: Tensor): Tensor[] {
  const sizes = group.parts.map(({ shape }) => sizeOf(shape));
  const all = flat.reshape([group.rows * ROW]).split(0, padding(group) > 0 ? [...sizes, padding(group)] : sizes);
  return group.parts.map(({ shape }, i) => all[i].reshape(shape));
}

/** The same of arrays on the host. */
export function flattenArrays(group: FlatGroup, arrays: Readonly<Record<string, Float32Array>>): Float32Array {
  const flat = new Float32Array(group.rows * ROW);
  let at = 0;
  for (const { path, shape } of group.parts) {
    flat.set(arrays[path], at);
    at += sizeOf(shape);
  }
  return flat;
}

/** Copies what a group holds into arrays on the host. */
export function unflattenArrays(
  group: FlatGroup,
  flat: Float32Array,
  arrays: Readonly<Record<string, Float32Array>>,
): void {
  let at = 0;
  for (const { path, shape } of group.parts) {
    arrays[path].set(flat.subarray(at, at + sizeOf(shape)));
    at += sizeOf(shape);
  }
}
