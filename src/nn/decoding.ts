/**
 * What an architecture must offer to be decoded: a state and a way to take tokens into it. The state lives in host arrays;
 * an architecture decides what is in them (FLASH: the sum of finished chunks and the current chunk; a softmax Transformer:
 * all keys and values; Performer: one sum a head) and which programs advance it. The engine stays outside: programs are
 * compiled and run by whoever holds one (generate/decoder.ts).
 */
import type { HostArray } from "../base/dtype.ts";
import type { Program } from "../graph/program.ts";
import type { Parameter } from "./scope.ts";

export type HostArrays = Readonly<Record<string, HostArray>>;

/** Compiles a program once for each key; `build` is called at the first use of the key. */
export type CompileOnce = (key: string, build: () => Program) => Promise<BindInputs>;

/**
 * Ties a compiled program to the arrays of all its inputs except the parameters. The returned function runs it on what
 * the arrays then hold; its results are overwritten by the next run of the same program.
 */
export type BindInputs = (inputs: HostArrays) => () => Promise<HostArrays>;

/**
 * What to compute beside the state. last: logits of the last token, [1, V]. all: of every token, [tokens, V].
 * losses: -log p of a given target after every token, [tokens], in nats.
 */
export type Readout = "last" | "all" | "losses";

export interface Advance {
  /** The first of these tokens are taken. */
  readonly tokens: Int32Array;
  readonly readout: Readout;
  /** For losses: what follows each token. */
  readonly targets?: Int32Array;
}

export interface Advanced {
  /** How many tokens this call took: at least one; call again with the rest. */
  readonly count: number;
  /** The readout of exactly these tokens; overwritten by the next call. */
  readonly result: Float32Array;
}

export interface DecodingState {
  /** Tokens taken so far. */
  readonly position: number;
  /** Size of all its arrays: constant, or for softmax Transformers and Combiner growing with the position. */
  readonly bytes: number;
  /** Never asked for tokens beyond the architecture's maxLength. */
  advance(request: Advance): Promise<Advanced>;
  /** Back to position 0. */
  reset(): void;
  /** A copy that goes its own way. */
  clone(): DecodingState;
}

export interface DecodingArchitecture {
  readonly vocabSize: number;
  /** Longest text in tokens that the model is made for; Infinity when there is no such length. */
  readonly maxLength: number;
  /** The parameters that the model has. */
  readonly parameters: readonly Parameter[];
  begin(compile: CompileOnce, parameters: HostArrays): DecodingState;
}
