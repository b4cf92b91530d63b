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
 * so many columns), a table of rows that are looked up, a table of the rows that logits are products with and nothing else, or
 * another, such as a scale or a bias.
 */
export type Role = { readonly map: readonly number[] } | "table" | "head" | "other";

/** Whether what a parameter does is a linear map and no more, to which an adapter can be added. */
export const isMap = (role: Role) => typeof role === "object" || role === "head";

export interface Parameter {
  readonly path: string;
  readonly shape: Shape;
  readonly initial: Initial;
  readonly role: Role;
  /** Whether training changes it. */
  readonly trained: boolean;
  readonly tensor: Tensor;
}

/**
 * What is added to every linear map in place of training it (LoRA, Hu et al. 2021, arXiv 2106.09685, section 4.1): the map
 * W [in, out] is W + alpha / rank A B, with A [in, rank] and B [rank, out]; so is a table [V, d] that only makes logits.
 */
export interface AdapterConfig {
  readonly rank: number;
  readonly alpha: number;
}

/** What of a model is trained. Default: everything. */
export interface Tuning {
  /** Parameters that stay as they are. */
  readonly frozen?: ((path: string) => boolean) | undefined;
  /** Adapters are trained, and every parameter of the model stays as it is. */
  readonly adapter?: AdapterConfig | undefined;
}

/** The adapter of a map, as tensors: what is added to the map is `scale` a b. */
export interface LowRank {
  /** [in, rank] */
  readonly a: Tensor;
  /** [rank, out] */
  readonly b: Tensor;
  readonly scale: number;
}

/** The paths of the adapter of the map at `path`. */
export const adapterPaths = (path: string) => ({ a: `${path}.adapter.a`, b: `${path}.adapter.b` });

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
  readonly tuning?: Tuning | undefined;
  /** Whether linear maps of few rows are given turned, under turnedPath: for reading only. Default: false. */
  readonly turned?: boolean | undefined;
}

/** The path of a linear map [in, out] that is given as [out, in]. */
export const turnedPath = (path: string) => `${path}.turned`;

export class Scope {
  readonly path: string;
  readonly fewest: Fewest;
  readonly tuning: Tuning;
  readonly turned: boolean;
  private readonly declared: Map<string, Parameter>;
  private readonly lookups: RowLookup[];
  /** Maps with their adapters added, by path. */
  private readonly adapted: Map<string, { readonly sum: Tensor; readonly own: LowRank }>;

  constructor({ fewest = "passes", tuning = {}, turned = false }: ScopeOptions = {}, path = "", parent?: Scope) {
    this.fewest = fewest;
    this.tuning = tuning;
    this.turned = turned;
    this.path = path;
    this.declared = parent ? parent.declared : new Map();
    this.lookups = parent ? parent.lookups : [];
    this.adapted = parent ? parent.adapted : new Map();
  }

  at(name: string | number): Scope {
    return new Scope(this, this.path === "" ? String(name) : `${this.path}.${name}`, this);
  }

  /** The same place, where only a part of the parameters is trained. */
  tuned(tuning: Tuning): Scope {
    return new Scope({ fewest: this.fewest, tuning, turned: this.turned }, this.path, this);
  }

  parameter(name: string, shape: Shape, initial: Initial, role: Role = "other"): Tensor {
    const { path } = this.at(name);
    const found = this.declared.get(path);
    if (found === undefined) {
      const { frozen, adapter } = this.tuning;
      const trained = adapter === undefined && !frozen?.(path);
      const parameter = { path, shape, initial, role, trained, tensor: input(path, shape) };
      this.declared.set(path, parameter);
      if (adapter === undefined || !isMap(role)) return parameter.tensor;
      const own = this.lowRank(path, shape, adapter);
      const sum = parameter.tensor.add(own.a.matmul(own.b).mul(own.scale));
      this.adapted.set(path, { sum, own });
      return sum;
    }
    if (!sameShape(found.shape, shape)) {
      throw new LonghandError(
        "graph",
        `parameter ${path}: declared as ${showShape(found.shape)}, asked for as ${showShape(shape)}`,
      );
    }
    return this.adapted.get(path)?.sum ?? found.tensor;
  }

  /** The adapter of a map that has been asked for: what `parameter` has returned is the map and it, added up. */
  adapterOf(name: string): LowRank | undefined {
    return this.adapted.get(this.at(name).path)?.own;
  }

  /** Its product is zero at first. */
  private lowRank(path: string, [rows, columns]: Shape, { rank, alpha }: AdapterConfig): LowRank {
    const paths = adapterPaths(path);
    const declare = (path: string, shape: Shape, initial: Initial) => {
      const tensor = input(path, shape);
      this.declared.set(path, { path, shape, initial, role: "other", trained: true, tensor });
      return tensor;
    };
    const a = declare(paths.a, [rows, rank], { normal: 1 / Math.sqrt(rows) });
    const b = declare(paths.b, [rank, columns], { constant: 0 });
    return { a, b, scale: alpha / rank };
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
