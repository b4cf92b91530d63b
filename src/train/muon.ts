/**
 * Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"): the update of a linear map is its
 * momentum made orthogonal, all singular values near 1, by five steps of a Newton-Schulz iteration, which are matrix
 * products alone. Scaled by 0.2 sqrt(max(rows, columns)) it has about the size of AdamW's updates, so that both share a
 * learning rate and a weight decay (Liu et al. 2025, "Muon is scalable for LLM training", arXiv 2502.16982, section 2.2).
 */
import type { Shape } from "../base/shape.ts";
import { type Program, program } from "../graph/program.ts";
import { concat, input, type Tensor } from "../graph/tensor.ts";
import type { FlatPart } from "./flat.ts";

/** Coefficients of x, x xᵀ x and (x xᵀ)² x, which bring singular values from 0.001 to 1 near 1 in five steps (Jordan et al.). */
const [A, B, C] = [3.4445, -4.775, 2.0315];
const STEPS = 5;

/** x [n, r, c]: each matrix with its singular values moved to 0.7 to 1.2, its singular vectors unchanged. */
export function orthogonalised(x: Tensor): Tensor {
  const [r, c] = x.shape.slice(-2);
  if (r > c) return orthogonalised(x.swapLast()).swapLast(); // products with the smaller of x xᵀ and xᵀ x
  const norm = x.mul(x).sum([-1]).sum([-2]).sqrt(); // of all elements, [n, 1, 1]
  let y = x.div(norm.add(1e-7));
  for (let i = 0; i < STEPS; i++) {
    const gram = y.matmul(y.swapLast());
    y = y.mul(A).add(gram.mul(B).add(gram.matmul(gram).mul(C)).matmul(y));
  }
  return y;
}

/** Matrices that are orthogonalised: several maps side by side are as many matrices. */
export interface MapPart {
  readonly path: string;
  /** [in, out] */
  readonly shape: Shape;
  /** Columns of each map; their sum is out. */
  readonly map: readonly number[];
}

/** The linear maps among parameters. */
export function mapsOf(parameters: readonly FlatPart[]): MapPart[] {
  return parameters.flatMap(({ path, shape, role }) =>
    typeof role === "object" ? [{ path, shape, map: role.map }] : [],
  );
}

/** The updates by path, before the learning rate, from momenta [in, out] by path. Matrices of one shape go together. */
export function muonUpdates(parts: readonly MapPart[], momenta: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const matrices = new Map(parts.map(({ path, map }) => [path, [...(momenta.get(path) as Tensor).split(1, map)]]));
  const places = parts.flatMap(({ path, map }) => map.map((_, i) => ({ path, i })));
  const shapeAt = ({ path, i }: (typeof places)[number]) => (matrices.get(path) as Tensor[])[i].shape;
  const shapes = new Map(places.map((place) => [`${shapeAt(place)}`, shapeAt(place)]));
  for (const [key, shape] of shapes) {
    const own = places.filter((place) => `${shapeAt(place)}` === key);
    const stacked = concat(
      own.map(({ path, i }) => (matrices.get(path) as Tensor[])[i].reshape([1, ...shape])),
      0,
    ); // [n, r, c]
    const updates = orthogonalised(stacked).mul(0.2 * Math.sqrt(Math.max(...shape)));
    const ones = new Array<number>(own.length).fill(1);
    for (const [n, update] of updates.split(0, ones).entries()) {
      const { path, i } = own[n];
      (matrices.get(path) as Tensor[])[i] = update.reshape(shape); // [r, c]
    }
  }
  return new Map([...matrices].map(([path, columns]) => [path, concat(columns, 1)]));
}

/** Inputs: momenta [in, out] by path. Outputs: the updates, by `updateName`. */
export function muonProgram(parts: readonly MapPart[]): Program {
  const momenta = new Map(parts.map(({ path, shape }) => [path, input(path, shape)]));
  const updates = [...muonUpdates(parts, momenta)].map(([path, update]) => [updateName(path), update] as const);
  return program("muon", Object.fromEntries(updates));
}

export const updateName = (path: string) => `update.${path}`;
