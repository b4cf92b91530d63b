/**
 * Which runs are shown and how, as the address says it: ?run=a&run=b&hide=b&x=tokens&smooth=0.6&log=xy&view=samples.
 */
import { computed } from "@preact/signals";
import { change, route, setArgument } from "../base/route.ts";
import type { Axis } from "./history.ts";
import { runs } from "./store.ts";

export const VIEWS = ["curves", "configuration", "samples", "details"] as const;
export type View = (typeof VIEWS)[number];

const argument = (name: string) => route.value.query.get(name) ?? "";
function oneOf<Value extends string>(name: string, values: readonly Value[]): Value {
  const given = argument(name);
  return values.find((value) => value === given) ?? values[0];
}

/** The runs of the address; without one, the first of the list. */
export const chosen = computed<readonly string[]>(() => {
  const given = [...new Set(route.value.query.getAll("run"))];
  if (given.length > 0 || route.value.query.has("none")) return given;
  return (runs.value ?? []).slice(0, 1).map(({ run }) => run);
});

export const hidden = computed(() => new Set(route.value.query.getAll("hide")));
export const view = computed<View>(() => oneOf("view", VIEWS));
export const axis = computed<Axis>(() => oneOf("x", ["step", "tokens", "seconds"]));
export const smoothing = computed(() => Math.min(0.999, Math.max(0, Number(argument("smooth")) || 0)));
export const logX = computed(() => argument("log").includes("x"));
export const logY = computed(() => argument("log").includes("y"));

export function setLog(which: "x" | "y", on: boolean): void {
  const letters = new Set(argument("log"));
  if (on) letters.add(which);
  else letters.delete(which);
  setArgument("log", [...letters].sort().join(""));
}

export function choose(names: readonly string[]): void {
  change((query) => {
    query.delete("run");
    query.delete("none");
    for (const name of names) query.append("run", name);
    if (names.length === 0) query.set("none", "");
    const hidden = query.getAll("hide").filter((name) => names.includes(name));
    query.delete("hide");
    for (const name of hidden) query.append("hide", name);
  });
}

export function toggle(run: string): void {
  const names = chosen.peek();
  choose(names.includes(run) ? names.filter((name) => name !== run) : [...names, run]);
}

export function hide(run: string, on: boolean): void {
  change((query) => {
    const names = query.getAll("hide").filter((name) => name !== run);
    query.delete("hide");
    for (const name of on ? [...names, run] : names) query.append("hide", name);
  });
}

const COLORS = 10;
const taken = new Map<string, number>();

/** The colour of each chosen run, as a CSS variable. A run keeps its colour as long as it is chosen. */
export const colors = computed<ReadonlyMap<string, string>>(() => {
  const names = chosen.value;
  for (const run of taken.keys()) if (!names.includes(run)) taken.delete(run);
  for (const run of names) {
    if (taken.has(run)) continue;
    const used = new Set(taken.values());
    const free = Array.from({ length: COLORS }, (_, slot) => slot).find((slot) => !used.has(slot));
    taken.set(run, free ?? taken.size % COLORS);
  }
  return new Map([...taken].map(([run, slot]) => [run, `--run-${slot + 1}`]));
});
