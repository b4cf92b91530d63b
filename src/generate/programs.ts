/** The compiled programs that the decoders of one model share, with the parameters that each reads. */
import type { HostArray } from "../base/dtype.ts";
import type { Shape } from "../base/shape.ts";
import { type DecodingArchitecture, newKey, type StateProgram, stateGrows } from "../nn/decoding.ts";
import { turnedPath } from "../nn/scope.ts";
import type { DeviceTensor, Engine, HostArraysByName, InputsByName, ResidentFunction } from "../runtime/engine.ts";

export interface DecoderOptions {
  readonly engine: Engine;
  /** Of the model: `decodingArchitecture(config)`. */
  readonly architecture: DecodingArchitecture;
  /** Every parameter by path, row-major. Must not change: the CPU reads them in place, other devices copy them. */
  readonly parameters: HostArraysByName;
}

export class DecodingPrograms {
  readonly engine: Engine;
  readonly #architecture: DecodingArchitecture;
  readonly #parameters: HostArraysByName;
  readonly #uploaded = new Map<string, DeviceTensor>();
  readonly #turned = new Map<string, HostArray>();
  readonly #compiled = new Map<string, Compiled>();

  constructor({ engine, architecture, parameters }: DecoderOptions) {
    this.engine = engine;
    this.#architecture = architecture;
    this.#parameters = parameters;
  }

  /** Whether state and parameters stay on a device other than the CPU. */
  get resident(): boolean {
    return this.engine.separateMemory;
  }

  /** `build` is called at the first use of the key, and again after a failure. One call at a time. */
  async get(key: string, build: () => StateProgram): Promise<Compiled> {
    const compiled = this.#compiled.get(key) ?? (await this.#compile(build()));
    this.#compiled.set(key, compiled);
    return compiled;
  }

  async release(): Promise<void> {
    for (const { run } of this.#compiled.values()) await run.release();
    for (const tensor of this.#uploaded.values()) tensor.release();
    this.#compiled.clear();
    this.#uploaded.clear();
  }

  async #compile({ program, changed }: StateProgram): Promise<Compiled> {
    const inputs = new Set(program.inputs.keys());
    const parameters: Record<string, HostArray | DeviceTensor> = {};
    for (const { path, shape } of this.#architecture.parameters) {
      if (inputs.has(turnedPath(path))) parameters[turnedPath(path)] = this.#turnedOf(path, shape);
      if (!inputs.has(path)) continue;
      if (this.resident && !this.#uploaded.has(path)) {
        this.#uploaded.set(path, await this.engine.upload({ dtype: "float32", shape, data: this.#parameters[path] }));
      }
      parameters[path] = this.#uploaded.get(path) ?? this.#parameters[path];
    }
    const stays = this.resident ? changed.map(({ key }) => newKey(key)) : [];
    if (this.#fixes(program)) {
      const fixed = parameters as HostArraysByName;
      return { run: await this.engine.compileResident(program, stays, { fixed }), inputs, parameters: {}, changed };
    }
    return { run: await this.engine.compileResident(program, stays), inputs, parameters, changed };
  }

  /**
   * A single token takes less time than copying all parameters; with many, these are nothing. Where the state grows there is a
   * program for every size of it, and they would be held as often.
   */
  #fixes({ inputs }: StateProgram["program"]): boolean {
    return this.engine.copiesInputs === true && inputs.get("tokens")?.size === 1 && !stateGrows(this.#architecture);
  }

  /** A linear map [in, out] as [out, in], made when it is first asked for. */
  #turnedOf(path: string, [rows, columns]: Shape): HostArray {
    const known = this.#turned.get(path);
    if (known !== undefined) return known;
    const weight = this.#parameters[path];
    const turned = new Float32Array(weight.length);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) turned[column * rows + row] = weight[row * columns + column];
    }
    this.#turned.set(path, turned);
    return turned;
  }
}

export interface Compiled {
  readonly run: ResidentFunction;
  readonly inputs: ReadonlySet<string>;
  readonly parameters: InputsByName;
  readonly changed: StateProgram["changed"];
}
