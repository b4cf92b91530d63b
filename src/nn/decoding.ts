/**
 * What decoding needs of a model: the recurrent form of its layers, and programs that read new tokens from a state. The
 * state goes in and comes out as tensors, so that a host, a server and an exported graph drive the same programs; who holds
 * it, and where, is the decoder's business (generate/state.ts).
 */
import type { Shape } from "../base/shape.ts";
import type { Program } from "../graph/program.ts";
import type { Recurrence, StateEntry } from "./layer.ts";
import type { Parameter } from "./scope.ts";

/**
 * What to compute beside the state. last: logits after the last real token of each text, [B, V]. all: after every token,
 * [B P, V]. losses: -log p of a given target after every token, [B P], in nats.
 */
export type Readout = "last" | "all" | "losses";

/** How often the entries that grow were doubled, by what adds a row to them. */
export interface Room {
  readonly tokens: number;
  readonly spans: number;
}

export interface StepRequest {
  /** B: texts at once. */
  readonly texts: number;
  /** P: new tokens of each. */
  readonly tokens: number;
  /** Whether a text may have fewer real tokens than P. */
  readonly padded: boolean;
  readonly readout: Readout;
  readonly room: Room;
  /** Whether the whole state comes out, for devices on which it stays; else only what changes, for the host to store. */
  readonly whole: boolean;
}

/** The open span of a text is full. */
export type CloseRequest = Pick<StepRequest, "texts" | "room" | "whole">;

/**
 * Inputs beside parameters, those that a program needs: `tokens` [B …, P] and for losses `targets` [B P] int32; `position.cos`,
 * `position.sin` [B …, P, d / 2] and `rotation.cos`, `rotation.sin` [B …, P, half], angles of the positions; `open`,
 * `position`, `closed` and where padded `count` [B …] float32 (see NewTokens); `state.LAYER.NAME` [B …, …] for each entry of
 * the state. One text has no axis B.
 * Outputs: `result`, the readout (none of a program that closes spans), and of the state either `changes` [N], the changes
 * of all layers in the order of `changed`, each flattened; or, whole, `new.LAYER.NAME` for each entry that changes. A
 * program that closes spans and returns whole states has the input `count`: 1 for texts whose span is full, 0 for others.
 */
export interface StateProgram {
  readonly program: Program;
  readonly changed: readonly ChangedEntry[];
}

export interface ChangedEntry {
  /** `state.LAYER.NAME` */
  readonly key: string;
  /** [B, …]: new rows of an entry of rows, else the whole new value. */
  readonly shape: Shape;
}

export interface DecodingArchitecture {
  readonly vocabSize: number;
  /** d */
  readonly width: number;
  /** Pairs of features that RoPE turns; 0 without it. */
  readonly rotaryPairs: number;
  /** Longest text in tokens that the model is made for; Infinity when there is no such length. */
  readonly maxLength: number;
  readonly parameters: readonly Parameter[];
  /** Tokens after which the open span of every layer is closed. */
  readonly span: number;
  /** By `state.LAYER.NAME`. */
  readonly state: ReadonlyMap<string, StateEntry>;
  /** P new tokens of each text, in its open span. */
  step(request: StepRequest): StateProgram;
  /** P tokens of each text that are whole spans, from the beginning of one on; undefined where prompts are read in steps. */
  readonly prefill?: ((request: StepRequest) => StateProgram) | undefined;
  /** The open span of every text is full; undefined where nothing is done then. */
  readonly close?: ((request: CloseRequest) => StateProgram) | undefined;
}

/** The axis of texts, which one text alone goes without. */
export function batchAxis(texts: number): Shape {
  return texts === 1 ? [] : [texts];
}

/** The shape of an entry of so many texts, with the room it has grown to: [B …, …]. */
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

/** Every entry of a stack of layers by its key. */
export function entriesOf(layers: readonly Recurrence[]): ReadonlyMap<string, StateEntry> {
  return new Map(
    layers.flatMap(({ state }, i) => Object.entries(state).map(([name, entry]) => [entryKey(i, name), entry] as const)),
  );
}
