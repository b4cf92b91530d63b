/**
 * A decoder: a model that reads text once, token by token or many at a time, and always knows what may come next. It
 * holds the compiled programs and one state; how a state advances is the architecture's (nn/decoding.ts).
 */
import { LonghandError } from "../base/errors.ts";
import type { Program } from "../graph/program.ts";
import type { BindInputs, CompileOnce, DecodingArchitecture, DecodingState, HostArrays } from "../nn/decoding.ts";
import type { CompiledFunction, Engine } from "../runtime/engine.ts";

export interface DecoderOptions {
  readonly engine: Engine;
  /** Of the model: `decodingArchitecture(config)`. */
  readonly architecture: DecodingArchitecture;
  /** Every parameter by path, row-major. Read in place: do not change them between two resets. */
  readonly parameters: HostArrays;
}

/**
 * Logits are unnormalised log-probabilities of the next token, [V] float32. Calls run one after the other, in the order
 * in which they were made, forks included. Once released, a decoder and its forks throw "engine".
 */
export interface Decoder {
  /** V */
  readonly vocabSize: number;
  /** Tokens of the longest text; Infinity for a model without limit. */
  readonly maxLength: number;
  /** Tokens read so far. */
  readonly position: number;
  /** Bytes of the state: the same at every position, but for softmax Transformers and Combiner, whose state grows. */
  readonly stateBytes: number;
  /**
   * Reads one or more tokens, chunk-parallel. Returns the logits after the last of them [V], or with logits: "all" after
   * each [tokens, V]. They equal those of the training-time forward pass over the whole text so far.
   */
  absorb(tokens: ArrayLike<number>, options?: { readonly logits?: "last" | "all" }): Promise<Float32Array>;
  /** Reads tokens and returns -log p(targets[i] | text up to tokens[i]) in nats, [tokens], without keeping logits. */
  losses(tokens: ArrayLike<number>, targets: ArrayLike<number>): Promise<Float32Array>;
  /** Reads one token. The logits [V] are overwritten by the next call, on forks too. */
  step(token: number): Promise<Float32Array>;
  /** A second decoder at the same position that goes its own way; it shares programs and parameters. */
  fork(): Promise<Decoder>;
  /** Back to the start of a text; parameters that were changed are read anew. */
  reset(): Promise<void>;
  /** Frees the programs, for all forks. */
  release(): Promise<void>;
}

/**
 * Makes a decoder at position 0. Programs are compiled when first needed. Throws "checkpoint" when a parameter is
 * missing or has another size than the model's.
 */
export async function createDecoder({ engine, architecture, parameters }: DecoderOptions): Promise<Decoder> {
  for (const { path, shape } of architecture.parameters) {
    const size = shape.reduce((product, n) => product * n, 1);
    const found = parameters[path];
    if (found?.length !== size) {
      throw new LonghandError(
        "checkpoint",
        `parameter ${path}: expected ${size} values [${shape.join(", ")}], got ${found ? found.length : "none"}`,
      );
    }
  }
  const programs = new Programs(engine, parameters);
  return new StatefulDecoder(architecture, programs, architecture.begin(programs.compile, parameters));
}

/** Compiled programs, each once, and the queue that keeps their buffers from being used twice at a time. */
class Programs {
  readonly #engine: Engine;
  readonly #parameters: HostArrays;
  readonly #compiled = new Map<string, BindInputs>();
  readonly #functions: CompiledFunction[] = [];
  #queue: Promise<unknown> = Promise.resolve();
  #released = false;

  constructor(engine: Engine, parameters: HostArrays) {
    this.#engine = engine;
    this.#parameters = parameters;
  }

  readonly compile: CompileOnce = async (key, build) => {
    const found = this.#compiled.get(key);
    if (found) return found;
    const program = build();
    const compiled = await this.#engine.compile(program);
    this.#functions.push(compiled);
    const used = this.#parametersOf(program);
    const bind: BindInputs = (inputs) => {
      const all = { ...used, ...inputs };
      return () => compiled.run(all);
    };
    this.#compiled.set(key, bind);
    return bind;
  };

  /** Runs `work` after all work given before. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(() => {
      if (this.#released) throw new LonghandError("engine", "decoder: used after release");
      return work();
    });
    this.#queue = result.catch(() => {});
    return result;
  }

  async release(): Promise<void> {
    await this.#queue;
    this.#released = true;
    for (const compiled of this.#functions.splice(0)) await compiled.release();
  }

  #parametersOf({ inputs }: Program): HostArrays {
    const names = [...inputs.keys()].filter((name) => Object.hasOwn(this.#parameters, name));
    return Object.fromEntries(names.map((name) => [name, this.#parameters[name]]));
  }
}

class StatefulDecoder implements Decoder {
  readonly vocabSize: number;
  readonly maxLength: number;
  readonly #architecture: DecodingArchitecture;
  readonly #programs: Programs;
  readonly #state: DecodingState;
  readonly #one = new Int32Array(1);

  constructor(architecture: DecodingArchitecture, programs: Programs, state: DecodingState) {
    this.vocabSize = architecture.vocabSize;
    this.maxLength = architecture.maxLength;
    this.#architecture = architecture;
    this.#programs = programs;
    this.#state = state;
  }

  get position(): number {
    return this.#state.position;
  }

  get stateBytes(): number {
    return this.#state.bytes;
  }

  async absorb(
    tokens: ArrayLike<number>,
    { logits = "last" }: { logits?: "last" | "all" } = {},
  ): Promise<Float32Array> {
    const ids = this.#check("tokens", tokens);
    const all = new Float32Array((logits === "all" ? ids.length : 1) * this.vocabSize);
    return this.#programs.exclusively(async () => {
      this.#requireRoom(ids.length);
      for (let at = 0; at < ids.length; ) {
        const { count, result } = await this.#state.advance({ tokens: ids.subarray(at), readout: logits });
        all.set(result, logits === "all" ? at * this.vocabSize : 0);
        at += count;
      }
      return all;
    });
  }

  async losses(tokens: ArrayLike<number>, targets: ArrayLike<number>): Promise<Float32Array> {
    const ids = this.#check("tokens", tokens);
    const next = this.#check("targets", targets);
    if (next.length !== ids.length)
      throw new LonghandError("usage", `targets: expected ${ids.length}, one for each token, got ${next.length}`);
    const losses = new Float32Array(ids.length);
    return this.#programs.exclusively(async () => {
      this.#requireRoom(ids.length);
      for (let at = 0; at < ids.length; ) {
        const request = { tokens: ids.subarray(at), targets: next.subarray(at), readout: "losses" } as const;
        const { count, result } = await this.#state.advance(request);
        losses.set(result, at);
        at += count;
      }
      return losses;
    });
  }

  step(token: number): Promise<Float32Array> {
    return this.#programs.exclusively(async () => {
      this.#requireToken("token", token);
      this.#one[0] = token;
      this.#requireRoom(1);
      return (await this.#state.advance({ tokens: this.#one, readout: "last" })).result;
    });
  }

  fork(): Promise<Decoder> {
    return this.#programs.exclusively(
      async () => new StatefulDecoder(this.#architecture, this.#programs, this.#state.clone()),
    );
  }

  reset(): Promise<void> {
    return this.#programs.exclusively(async () => this.#state.reset());
  }

  release(): Promise<void> {
    return this.#programs.release();
  }

  #check(name: string, tokens: ArrayLike<number>): Int32Array {
    if (tokens.length === 0) throw new LonghandError("usage", `${name}: expected at least one token, got none`);
    for (let i = 0; i < tokens.length; i++) this.#requireToken(`${name}[${i}]`, tokens[i]);
    return Int32Array.from(tokens);
  }

  #requireToken(name: string, token: number): void {
    if (!(Number.isInteger(token) && token >= 0 && token < this.vocabSize)) {
      throw new LonghandError("usage", `${name}: expected a token from 0 to ${this.vocabSize - 1}, got ${token}`);
    }
  }

  /** Nothing is read of a text that does not fit. */
  #requireRoom(tokens: number): void {
    const { maxLength, position } = this;
    if (position + tokens > maxLength) {
      throw new LonghandError(
        "usage",
        `text of ${position + tokens} tokens: the model was made for at most ${maxLength} (model.maxLength); use a ` +
          "shorter text, or train with a larger maxLength or as flash, which has no such limit",
      );
    }
  }
}
