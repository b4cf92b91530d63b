/**
 * What a layer of a language model is: one set of parameters in up to three forms. `forward` reads whole windows, as in
 * training; `step` reads a few new tokens of each text, after a state that stands for all tokens before; `prefill` reads
 * whole spans of a prompt at once, as fast as training. All three give the same result, and a layer file holds them side by
 * side. The state is declared as data, so that one decoder serves every architecture (after the layers of
 * flash-linear-attention, whose one forward pass takes a past state).
 */
import type { Shape } from "../base/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { NewTokens } from "./new-tokens.ts";
import type { AngleTable } from "./positions.ts";
import type { Scope } from "./scope.ts";
import type { Visibility } from "./visibility.ts";

export interface LayerInputs {
  /** RoPE of the T tokens: [T, half]; [B, T, half] where positions begin anew at each document of a window. */
  readonly rotations: AngleTable;
  /** Who sees whom. */
  readonly visibility: Visibility;
  /** Whether what grows with the square of T is computed again in the backward pass. */
  readonly recompute?: boolean | undefined;
}

export interface Layer {
  /** x [B, T, d] -> [B, T, d] */
  forward(scope: Scope, x: Tensor, inputs: LayerInputs): Tensor;
  /** How it is decoded; undefined for a layer that only reads whole windows. */
  readonly recurrence?: Recurrence | undefined;
}

export type Tensors = Readonly<Record<string, Tensor>>;

/** The result [B, P, d] of P new tokens of each of B texts, and what changes in the state. */
export interface Stepped {
  readonly y: Tensor;
  /** By name: the new rows [B, …, P, width] of an entry of rows, the new value [B, …] of one that is replaced. */
  readonly state: Tensors;
}

/** A layer in its recurrent form. Names of the state's entries are the layer's own. */
export interface Recurrence {
  /** Tokens after which the open span is closed and the next one begins (the chunk of FLASH); Infinity when never. */
  readonly span: number;
  readonly state: Readonly<Record<string, StateEntry>>;
  /** x [B, P, d]: P new tokens of each text, which lie in its open span. */
  step(scope: Scope, x: Tensor, tokens: NewTokens, state: Tensors): Stepped;
  /**
   * x [B, G span, d]: G whole spans, from the beginning of a span on, which are closed afterwards; causal, all tokens real.
   * Returns all entries that are replaced; undefined where a prompt is read in steps.
   */
  prefill?(scope: Scope, x: Tensor, inputs: LayerInputs, state: Tensors): Stepped;
  /**
   * The open span is full. Returns the new value of entries that are replaced, and the new row [B, …, 1, width] of those
   * that get one for each closed span; rows of the open span are about to be overwritten.
   */
  close?(state: Tensors): Tensors;
}

/**
 * How an entry changes. replaced: by every step or close, as a whole. open-rows: new tokens become rows of the open span,
 * beginning with row 0 when a span begins. token-rows: every token of the text adds a row. span-rows: every closed span adds
 * a row. Entries of the last two are made larger when they are full: their rows are those there is room for at first.
 */
export type StateChange = "replaced" | "open-rows" | "token-rows" | "span-rows";

export interface StateEntry {
  /** Of one text; of rows [..., rows, width]. */
  readonly shape: Shape;
  readonly change: StateChange;
  /** Each element when a text begins. Rows that are not written yet are finite, and hidden by NewTokens. */
  readonly initial: number;
}
