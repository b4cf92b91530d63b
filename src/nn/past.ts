/**
 * A model that reads a text window by window and goes on from the state that its layers had after the window before
 * (truncated back-propagation through time; Dai et al. 2019, "Transformer-XL"). The state is a decoder's: positions go
 * on, and of the declared entries those are handed on that are replaced; a window is whole spans, so no row is open.
 * Symbols: B texts, one to a row of the batch.
 */
import type { Shape } from "../base/shape.ts";
import { input } from "../graph/tensor.ts";
import { entriesOf } from "./decoding.ts";
import type { Documents } from "./documents.ts";
import type { Recurrence, StateEntry, Tensors } from "./layer.ts";
import { type AngleTable, addAngles } from "./positions.ts";
import type { WindowInputs } from "./visibility.ts";

/** What a window begins with. No gradient flows into it. */
export interface Past {
  /** By `state.LAYER.NAME`, [B, …]. */
  readonly state: Tensors;
  /** Angles of the position at which each row's window starts, [B, 1, half]: for RoPE, and for the position embedding. */
  readonly rotation: AngleTable;
  readonly position: AngleTable;
}

/** What a model takes beside tokens. */
export interface ModelInputs extends WindowInputs {
  /** What came before the window; undefined: nothing did, and nothing is handed on. */
  readonly past?: Past | undefined;
}

/** What a model hands on from window to window. */
export interface CarriedState {
  /** By `state.LAYER.NAME`: those that are replaced. */
  readonly entries: ReadonlyMap<string, StateEntry>;
  /** A window is a multiple of so many tokens. */
  readonly span: number;
  /** Pairs of features that RoPE rotates; 0 without RoPE. */
  readonly rotaryPairs: number;
  /** d */
  readonly width: number;
}

/** The entries that layers hand on; undefined where a layer cannot read a window after a state. */
export function carriedEntries(layers: readonly (Recurrence | undefined)[]): CarriedState["entries"] | undefined {
  const recurrences = layers.flatMap((layer) => (layer?.prefill ? [layer] : []));
  if (recurrences.length < layers.length) return undefined;
  return new Map([...entriesOf(recurrences)].filter(([, { change }]) => change === "replaced"));
}

export const startNames = ["start.rotation", "start.position"] as const;

/** The past as inputs of a program: `state.LAYER.NAME` [B, …], and `start.rotation` and `start.position`, .cos and .sin. */
export function pastInputs({ entries, rotaryPairs, width }: CarriedState, B: number): Past {
  const angles = (name: string, half: number): AngleTable => ({
    cos: input(`${name}.cos`, [B, 1, half]),
    sin: input(`${name}.sin`, [B, 1, half]),
  });
  const [rotation, position] = startNames;
  return {
    state: Object.fromEntries([...entries].map(([key, entry]) => [key, input(key, carriedShape(entry, B))])),
    rotation: angles(rotation, rotaryPairs),
    position: angles(position, width / 2),
  };
}

/** [B, …] */
export function carriedShape({ shape }: StateEntry, B: number): Shape {
  return [B, ...shape];
}

/**
 * The angles of a window's tokens, which are those from its beginning on, [T, half] or [B, T, half], where each row starts
 * at the position of `start` [B, 1, half]: [B, T, half]. Only the first document of a window goes on.
 */
export function anglesFrom(start: AngleTable, own: AngleTable, documents: Documents | undefined): AngleTable {
  if (!documents) return addAngles(own, start);
  const { segmentIds } = documents; // [B, T]
  const goesOn = segmentIds.equal(1).reshape([...segmentIds.shape, 1]);
  return addAngles(own, {
    cos: goesOn.where(start.cos, start.cos.constant(1)),
    sin: goesOn.where(start.sin, start.sin.constant(0)),
  });
}
