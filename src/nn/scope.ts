/**
 * Parameters by path. A layer asks its scope for `scope.parameter("gain", …)`; the scope's path makes it
 * "layers.3.norm.gain". The first call declares the parameter (its shape and initial values), later calls return it, so
 * the same function initialises a model and applies it.
 */
import type { HostTensor } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { randomKey, randomNormals } from "../base/random.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../base/shape.ts";
import { input, type Tensor } from "../graph/tensor.ts";

/** Initial values of a parameter: normal numbers of this standard deviation, or one value everywhere. */
export type Initial = { readonly normal: number } | { readonly constant: number };

/**
 * What a parameter is, for the optimiser: the weight of a linear map (or of several of one input, side by side, each of
 * so many columns), a table of rows that are looked up, or another, such as a scale or a bias.
 */
export type Role = { readonly map: readonly number[] } | "table" | "other";

export interface Parameter {
  readonly path: string;
  readonly shape: Shape;
  readonly initial: Initial;
  readonly role: Role;
  readonly tensor: Tensor;
}

/** Rows read from a parameter that is a table: its gradient is zero in all other rows. */
interface RowLookup {
  readonly path: string;
  /** int32, any shape. */
  readonly indices: Tensor;
  /** [...indices, width] */
  readonly rows: Tensor;
}

/**
 * What a graph is written to have few of, where both cannot be had: passes over memory, which a CPU takes its time for; or
 * operators, each of which costs a launch on a graphics card, whatever its size.
 */
export type Fewest = "passes" | "operators";

interface ScopeOptions {
  /** Default: passes. */
  readonly fewest?: Fewest | undefined;
}

export class Scope {
  readonly path: string;
  readonly fewest: Fewest;
  private readonly declared: Map<string, Parameter>;
  private readonly lookups: RowLookup[];

  constructor({ fewest = "passes" }: ScopeOptions = {}, path = "", parent?: Scope) {
    this.fewest = fewest;
    this.path = path;
    this.declared = parent ? parent.declared : new Map();
    this.lookups = parent ? parent.lookups : [];
  }

  at(name: string | number): Scope {
    return new Scope(this, this.path === "" ? String(name) : `${this.path}.${name}`, this);
  }

  parameter(name: string, shape: Shape, initial: Initial, role: Role = "other"): Tensor {
    const { path } = this.at(name);
    const found = this.declared.get(path);
    if (found === undefined) {
      const parameter = { path, shape, initial, role, tensor: input(path, shape) };
      this.declared.set(path, parameter);
      return parameter.tensor;
    }
    if (!sameShape(found.shape, shape)) {
      throw new LonghandError(
        "graph",
        `parameter ${path}: declared as ${showShape(found.shape)}, asked for as ${showShape(shape)}`,
      );
    }
    return found.tensor;
  }

  /** Rows of a table [rows, width]; recorded, so that training can add up their gradients on the host. */
  rows(name: string, table: Tensor, indices: Tensor): Tensor {
    const rows = table.gather(indices);
    this.lookups.push({ path: this.at(name).path, indices, rows });
    return rows;
  }

  /** Every parameter declared under the root, in order of first use. */
  get parameters(): readonly Parameter[] {
    return [...this.declared.values()];
  }

  get rowLookups(): readonly RowLookup[] {
    return this.lookups;
  }
}

/** Initial values of all parameters, each from a random stream of its own, named by its path. */
export function initialise(parameters: readonly Parameter[], seed: number): Record<string, HostTensor> {
  const values: Record<string, HostTensor> = {};
  for (const { path, shape, initial } of parameters) {
    const data =
      "normal" in initial
        ? randomNormals(randomKey(seed, `parameter ${path}`), sizeOf(shape), initial.normal)
        : new Float32Array(sizeOf(shape)).fill(initial.constant);
    values[path] = { dtype: "float32", shape, data };
  }
  return values;
}
