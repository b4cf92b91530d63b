/**
 * What the plots of one group have in common, the window of x and the place that is pointed at, and what changes
 * them.
 */
import { type Signal, signal } from "@preact/signals";
import type { Gestures } from "./gestures.ts";
import { inside, isWide, panned, type Range, zoomed } from "./view.ts";

export interface Group {
  /** The window; undefined: all, also while more comes. */
  readonly view: Signal<Range | undefined>;
  /** The value of x that is pointed at. */
  readonly pointer: Signal<number | undefined>;
  /** What a mouse does that drags. */
  readonly drag: Signal<"zoom" | "pan">;
}

export function newGroup(): Group {
  return { view: signal(undefined), pointer: signal(undefined), drag: signal("zoom") };
}

/** From the first to the last x of all curves of the group. */
export interface Extent extends Range {
  readonly log: boolean;
}

export function seen(group: Group, extent: Extent): Range {
  return group.view.peek() ?? extent;
}

export function zoom(group: Group, extent: Extent, factor: number, around = 0.5): void {
  show(group, extent, zoomed(seen(group, extent), factor, around, extent.log));
}

export function pan(group: Group, extent: Extent, by: number): void {
  show(group, extent, panned(seen(group, extent), by, extent.log));
}

export function show(group: Group, extent: Extent, range: Range): void {
  const view = inside(range, extent, extent.log);
  if (!isWide(view)) return;
  group.view.value = view.from === extent.from && view.to === extent.to ? undefined : view;
}

/** The gestures of one plot of the group. */
export function gesturesOf(
  group: Group,
  extent: () => Extent,
  plot: { valueAt(share: number): number; shade(from?: number, to?: number): void },
): Gestures {
  return {
    mode: () => group.drag.value,
    point: (at) => {
      group.pointer.value = at === undefined ? undefined : plot.valueAt(at);
    },
    pan: (by) => pan(group, extent(), by),
    zoom: (factor, around) => zoom(group, extent(), factor, around),
    dragged: (from, to) => plot.shade(from, to),
    select: (from, to) => show(group, extent(), { from: plot.valueAt(from), to: plot.valueAt(to) }),
    all: () => {
      group.view.value = undefined;
    },
  };
}

/** What a key does to the plot that has the focus; whether it does anything. */
export function pressKey(group: Group, extent: Extent, key: string): boolean {
  const { from, to } = seen(group, extent);
  const place = group.pointer.peek() ?? to;
  const move = (by: number) => {
    const share = extent.log ? Math.log(place / from) / Math.log(to / from) : (place - from) / (to - from);
    const next = Math.min(1, Math.max(0, share + by));
    group.pointer.value = extent.log ? from * (to / from) ** next : from + (to - from) * next;
  };
  const actions: Readonly<Record<string, () => void>> = {
    ArrowLeft: () => move(-0.01),
    ArrowRight: () => move(0.01),
    ArrowDown: () => move(-0.01),
    ArrowUp: () => move(0.01),
    Home: () => move(-1),
    End: () => move(1),
    PageUp: () => pan(group, extent, 0.25),
    PageDown: () => pan(group, extent, -0.25),
    "+": () => zoom(group, extent, 0.5),
    "=": () => zoom(group, extent, 0.5),
    "-": () => zoom(group, extent, 2),
    "0": () => {
      group.view.value = undefined;
    },
  };
  actions[key]?.();
  return key in actions;
}
