/**
 * What a layer of a language model is: one set of parameters in up to three forms. `forward` reads whole windows, as in
 * training; `step` reads a few new tokens of each text, given a state that represents all tokens before them; `prefill`
 * reads whole spans of a prompt at once, as fast as training. All three give the same result and are in one file. The
 * state is declared as data, so that one decoder serves every architecture (after the layers of flash-linear-attention,
 * whose forward pass takes a past state).
 */
import type { Shape } from "../base/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { NewTokens, RowKind } from "./new-tokens.ts";
import type { AngleTable } from "./positions.ts";
import type { Scope } from "./scope.ts";
import type { Visibility } from "./visibility.ts";

export interface LayerInputs {
  /** RoPE angles of the T tokens: [T, half]; [B, T, half] where positions start again at each document of a window. */
  readonly rotations: AngleTable;
  /** Who sees whom. */
  readonly visibility: Visibility;
  /** Whether activations that grow with the square of T are recomputed in the backward pass. */
  readonly recompute?: boolean | undefined;
  /** false: layers with a distant half leave it out, to see what it is worth. */
  readonly distant?: boolean | undefined;
  /** Is shown what the layer's attention sees, where it has exact weights: called once, while the graph is built. */
  readonly observe?: ((seen: AttentionSeen) => void) | undefined;
}

/** What attention does for the T tokens of a window; R queries of one chunk, or of the window, have N = R keys. */
export interface AttentionSeen {
  /** Weights of the exact half, [B, …, R, N]; undefined without one. */
  readonly weights?: Tensor | undefined;
  /** What it adds to the result of the attention, [B, …, R, w]. */
  readonly local?: Tensor | undefined;
  /** What the distant half adds, in the same shape; undefined without one, and where there is no other chunk. */
  readonly distant?: Tensor | undefined;
}

export interface Layer {
  /** x [B, T, d] -> [B, T, d] */
  forward(scope: Scope, x: Tensor, inputs: LayerInputs): Tensor;
  /** Its recurrent form, for decoding; undefined for a layer that only reads whole windows. */
  readonly recurrence?: Recurrence | undefined;
}

export type Tensors = Readonly<Record<string, Tensor>>;

/** The result y [B, P, d] for P new tokens of each of B texts, and the changes of the state. */
export interface Stepped {
  readonly y: Tensor;
  /** By entry: the new rows [B, …, P, width], or the new value [B, …] of one that is replaced. */
  readonly state: Tensors;
}

/** A layer in its recurrent form. The layer chooses the names of its state's entries. */
export interface Recurrence {
  /** Tokens in a span: when so many are read, it is closed and the next begins (a chunk of FLASH). Infinity: never. */
  readonly span: number;
  readonly state: Readonly<Record<string, StateEntry>>;
  /** x [B, P, d]: P new tokens of each text, inside its open span. */
  step(scope: Scope, x: Tensor, tokens: NewTokens, state: Tensors): Stepped;
  /**
   * x [B, G span, d]: G whole spans, starting where a span starts, which are closed afterwards; causal, all tokens
   * real. Returns all entries that are replaced. With documents, the state is seen by the window's first one, and the
   * state returned is that of the last token's. Without it, prompts are read in steps.
   */
  prefill?(scope: Scope, x: Tensor, inputs: LayerInputs, state: Tensors): Stepped;
  /**
   * Called when the open span is full, before its rows are overwritten. Returns the new value of entries that are
   * replaced, and the new row [B, …, 1, width] of those that get one for each closed span.
   */
  readonly close?: ((scope: Scope, state: Tensors) => Tensors) | undefined;
}

/**
 * How an entry changes. replaced: as a whole, by every step or close. open-rows: each new token writes a row, starting
 * with row 0 in every span. token-rows: each token of the text adds a row. span-rows: each closed span adds a row.
 * Entries of the last two kinds grow when they are full; `shape` gives the rows that they have at first.
 */
export type StateChange = "replaced" | RowKind;

export interface StateEntry {
  /** For one text; [..., rows, width] for an entry of rows. */
  readonly shape: Shape;
  readonly change: StateChange;
  /** The value of every element when a text begins. Rows not written yet are finite, and NewTokens hides them. */
  readonly initial: number;
}
