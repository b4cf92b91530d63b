/**
 * What a decoder needs from a model: the entries of its state, and programs that read new tokens given a state. The
 * state goes in and comes out as tensors, so a host, a server and an exported graph can run the same programs. Where it
 * is kept between them is up to the decoder (generate/state.ts, generate/resident-state.ts).
 */
import type { Shape } from "../base/shape.ts";
import type { Program } from "../graph/program.ts";
import type { Recurrence, StateEntry } from "./layer.ts";
import type { Parameter } from "./scope.ts";

/**
 * What a program computes in addition to the state. last: logits after the last real token of each text, [B, V]. all:
 * logits after every token, [B P, V]. losses: -log p of a given target after every token, [B P], in nats. states: the
 * last hidden state of every token, [B P, d], of which the map to logits makes logits.
 */
export type Readout = "last" | "all" | "losses" | "states";

/** How often the entries that grow have been doubled: those with a row per token, those with a row per closed span. */
export interface Room {
  readonly tokens: number;
  readonly spans: number;
}

export interface StepRequest {
  /** B: texts read at once. */
  readonly texts: number;
  /** P: new tokens of each text. */
  readonly tokens: number;
  /** Whether a text may have fewer real tokens than P. */
  readonly padded: boolean;
  readonly readout: Readout;
  readonly room: Room;
  /** Whether outputs are the whole new state, to stay on the device, or only its changes, for the host to store. */
  readonly whole: boolean;
  /**
   * Whether linear maps are given turned (nn/scope.ts). A processor packs the right operand of a product of several rows anew
   * at every run, which takes longer than a step; a left operand it reads in place.
   */
  readonly turned?: boolean;
}

export type CloseRequest = Pick<StepRequest, "texts" | "room" | "whole">;

/**
 * Inputs, besides parameters, as far as the program needs them; a single text has no axis B:
 * - `tokens` [B …, P] int32, and for losses `targets` [B P] int32;
 * - angles of positions: `position.cos` and `.sin` [B …, P, d / 2], `rotation.cos` and `.sin` [B …, P, half];
 * - `open`, `position`, `closed` and where padded `count`, [B …] float32 (see NewTokens); in a program that closes
 *   spans and returns whole states, `count` is 1 for texts whose span is full, else 0;
 * - `state.LAYER.NAME` [B …, …]: the entries of the state.
 *
 * Outputs:
 * - `result`: the readout; a program that closes spans has none;
 * - `changes` [N]: the entries in `changed`, flattened and concatenated; or, whole, `new.LAYER.NAME` for each of them.
 */
export interface StateProgram {
  readonly program: Program;
  readonly changed: readonly ChangedEntry[];
}

export interface ChangedEntry {
  /** `state.LAYER.NAME` */
  readonly key: string;
  /** [B, …]: the new rows, or the new value of an entry that is replaced. */
  readonly shape: Shape;
}

export interface DecodingArchitecture {
  readonly vocabSize: number;
  /** d */
  readonly width: number;
  /** Pairs of features that RoPE rotates; 0 without RoPE. */
  readonly rotaryPairs: number;
  /** Tokens of the longest text that the model can read; Infinity when there is no limit. */
  readonly maxLength: number;
  readonly parameters: readonly Parameter[];
  /** Tokens in a span, in every layer. */
  readonly span: number;
  /** By `state.LAYER.NAME`. */
  readonly state: ReadonlyMap<string, StateEntry>;
  /** A program that reads P new tokens of each text inside its open span. */
  step(request: StepRequest): StateProgram;
  /** One that reads whole spans of P tokens in all; undefined where prompts are read in steps. */
  readonly prefill?: ((request: StepRequest) => StateProgram) | undefined;
  /** One that closes spans that are full; undefined where nothing is done then. */
  readonly close?: ((request: CloseRequest) => StateProgram) | undefined;
}

/** The axis of texts: none for a single text. */
export function batchAxis(texts: number): Shape {
  return texts === 1 ? [] : [texts];
}

/** The shape of an entry for so many texts, at the size to which it has grown: [B …, …]. */
export function entryShape({ shape, change }: StateEntry, texts: number, room: Room): Shape {
  const grown = change === "token-rows" ? room.tokens : change === "span-rows" ? room.spans : 0;
  return [...batchAxis(texts), ...shape.map((size, axis) => (axis === shape.length - 2 ? size * 2 ** grown : size))];
}

/** `state.LAYER.NAME` */
export function entryKey(layer: number, name: string): string {
  return `state.${layer}.${name}`;
}

/** `new.LAYER.NAME` of `state.LAYER.NAME` */
export function newKey(key: string): string {
  return key.replace(/^state/, "new");
}

/** The entries of all layers by their keys. */
export function entriesOf(layers: readonly Recurrence[]): ReadonlyMap<string, StateEntry> {
  return new Map(
    layers.flatMap(({ state }, i) => Object.entries(state).map(([name, entry]) => [entryKey(i, name), entry] as const)),
  );
}

/** Whether the state takes more memory the longer a text is. */
export function stateGrows({ state }: Pick<DecodingArchitecture, "state">): boolean {
  return [...state.values()].some(({ change }) => change === "token-rows" || change === "span-rows");
}
