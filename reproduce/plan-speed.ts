/**
 * Which speeds are measured. Taken in this order as long as they fit, with three rounds each:
 *
 * 1. FLASH and Transformer++ at the contexts that a step of the fixed size holds, the ends first; 2. the others there,
 *    short contexts first; 3. FLASH alone at contexts far apart with the same, larger number of tokens a step;
 * 4. FLASH and Transformer++ at longer contexts, in order; 5. FLASH alone at more contexts, with the tokens of the
 *    longest;
 * 6. the others at longer contexts. What is left is spent on more rounds.
 *
 * Processes run side by side when they fit into memory together; the others of a context then come in groups, each with
 * FLASH and Transformer++. Where memory does not suffice, or groups would take longer, each round starts every process
 * in turn. Steps of half a minute and more are timed two or three times.
 */
import type { ArchitectureName } from "longhand";
import { FIRST_MODELS, ranked } from "./architectures.ts";
import { batchOf, type SpeedJob, type SpeedSide } from "./jobs.ts";
import { chooseRecompute } from "./plan-recompute.ts";
import {
  type EstimatedJob,
  type LeftOut,
  OVER_BUDGET,
  type PlanInputs,
  type SectionPlan,
  TRIED_ANYWAY,
  total,
} from "./plan-section.ts";
import { gigabytes } from "./process.ts";

const WARMUP = 2;
const ROUNDS = [3, 4, 5, 7, 9];
/** For processes that are started again in every round. */
const IN_TURN = { warmup: 1, perStart: 2 } as const;
/** Longer steps are timed in one round only. */
const LONG_STEP_SECONDS = 30;
/** Tokens a step of FLASH alone, before those of the longest context. */
const FLAT_TOKENS = 16_384;
const SETTLE_SECONDS = 0.15;
/** Share of the memory for processes side by side: errors of their estimates add up. */
const TOGETHER_SHARE = 0.85;

/** How much is measured; grows as long as it fits. */
interface Choice {
  /** Models at each context. */
  readonly contexts: ReadonlyMap<number, readonly ArchitectureName[]>;
  /** Contexts of FLASH alone at a fixed number of tokens a step. */
  readonly flat: readonly number[];
  readonly rounds: number;
}

export function planSpeed(inputs: PlanInputs, seconds: number): SectionPlan {
  const { settings } = inputs;
  const leftOut: LeftOut[] = [];
  const rounds = settings.rounds ?? ROUNDS[0];
  let choice: Choice = { contexts: new Map(), flat: [], rounds };
  let least: number | undefined;
  const costOf = (candidate: Choice) => total(jobsOf(inputs, candidate).jobs);
  let longer = true; // once a longer context does not fit, one beyond it is not worth the rest
  for (const { what, grow, ascending = false } of growth(inputs)) {
    const candidate = grow(choice);
    least ??= costOf(candidate);
    if ((longer || !ascending) && costOf(candidate) <= seconds) choice = candidate;
    else {
      leftOut.push({ what, why: OVER_BUDGET });
      if (ascending) longer = false;
    }
  }
  if (settings.rounds === undefined) {
    for (const more of ROUNDS) {
      const candidate = { ...choice, rounds: more };
      if (costOf(candidate) <= seconds) choice = candidate;
    }
  }
  const made = jobsOf(inputs, choice);
  return { jobs: made.jobs, leftOut: [...leftOut, ...made.leftOut], least: least ?? 0 };
}

interface Growth {
  readonly what: string;
  readonly grow: (choice: Choice) => Choice;
  /** One of the longer contexts, which come in order. */
  readonly ascending?: boolean;
}

function growth({ settings: { models, contexts, tokens } }: PlanInputs): Growth[] {
  const { first, others } = ranked(models);
  const short = contexts.filter((context) => context <= tokens);
  const long = contexts.filter((context) => context > tokens);
  const longest = Math.max(...contexts);
  const add = (context: number, names: readonly ArchitectureName[]): Growth => ({
    what: `speed of ${names.join(", ")} at context ${context}`,
    grow: (choice) => ({
      ...choice,
      contexts: new Map([...choice.contexts, [context, [...(choice.contexts.get(context) ?? []), ...names]]]),
    }),
  });
  const flat = (upTo: number, all: boolean): Growth[] => {
    const within = contexts.filter((context) => context <= upTo);
    const top = Math.max(...within);
    const chosen = within.filter((context, i) => context === top || (all ? i % 2 === 0 : i === 0 || context === 8192));
    if (!models.includes("flash") || chosen.length < 2 || top <= tokens) return [];
    const what = `speed of flash at ${top} tokens a step, contexts ${chosen.join(", ")}`;
    return [{ what, grow: (choice) => ({ ...choice, flat: chosen }) }];
  };
  return [
    ...outsideIn(short).map((context) => add(context, first)),
    ...(others.length > 0 ? short.map((context) => add(context, others)) : []),
    ...(longest > FLAT_TOKENS ? flat(FLAT_TOKENS, false) : []),
    ...long.map((context) => ({ ...add(context, first), ascending: true })),
    ...flat(longest, true),
    ...(others.length > 0 ? long.map((context) => add(context, others)) : []),
  ];
}

/** 1 2 3 4 5 -> 1 5 3 2 4: the ends, the middle, the rest. */
function outsideIn(values: readonly number[]): number[] {
  const middle = values[Math.floor((values.length - 1) / 2)];
  const order = [values[0], values[values.length - 1], middle, ...values];
  return [...new Set(order)].filter((value) => value !== undefined);
}

function jobsOf(inputs: PlanInputs, choice: Choice): { jobs: EstimatedJob[]; leftOut: LeftOut[] } {
  const leftOut: LeftOut[] = [];
  const jobs: EstimatedJob[] = [];
  for (const [context, models] of [...choice.contexts].sort(([a], [b]) => a - b)) {
    jobs.push(...contextJobs(inputs, context, models, choice.rounds, leftOut));
  }
  if (choice.flat.length > 0) jobs.push(flatJob(inputs, choice.flat, choice.rounds));
  return { jobs, leftOut };
}

function contextJobs(
  inputs: PlanInputs,
  context: number,
  models: readonly ArchitectureName[],
  rounds: number,
  leftOut: LeftOut[],
): EstimatedJob[] {
  const { memory, settings } = inputs;
  const batch = batchOf(settings.tokens, context);
  const sides: SpeedSide[] = [];
  for (const model of settings.models.filter((name) => models.includes(name))) {
    const choice = chooseRecompute(inputs, model, context, batch * context);
    if (choice !== undefined) sides.push({ model, context, batch, ...choice });
    else {
      const [plain, again] = (["none", "layers"] as const).map((kind) =>
        inputs.costs.bytes(model, context, batch * context, kind),
      );
      const why = `a step needs about ${gigabytes(plain)}, with recomputation ${gigabytes(again)}, and there are ${gigabytes(memory)}`;
      leftOut.push({ what: `speed of ${model} at context ${context}`, why });
    }
  }
  if (sides.length === 0) return [];
  const draft = (own: readonly SpeedSide[], together: boolean, i = 0): EstimatedJob => {
    const id = `speed/context-${context}${i > 0 ? `-${i}` : ""}`;
    return estimated(inputs, { id, series: "contexts", sides: [...own], together, rounds });
  };
  const inTurn = [draft(sides, false)];
  const groups = sideBySide(inputs, sides)?.map((own, i, all) => draft(own, true, all.length > 1 ? i + 1 : 0));
  return groups !== undefined && (groups.length === 1 || total(groups) <= total(inTurn)) ? groups : inTurn;
}

/** Groups that fit into memory, each with the first models; undefined where a group does not. */
function sideBySide(inputs: PlanInputs, sides: readonly SpeedSide[]): SpeedSide[][] | undefined {
  const isFirst = ({ model }: SpeedSide) => FIRST_MODELS.includes(model);
  const room = TOGETHER_SHARE * inputs.memory;
  const fits = (all: readonly SpeedSide[]) => all.reduce((sum, side) => sum + bytesOf(inputs, side), 0) <= room;
  const first = sides.filter(isFirst);
  const groups: SpeedSide[][] = [[...first]];
  for (const side of sides.filter((each) => !isFirst(each))) {
    const last = groups[groups.length - 1];
    if (last.length === 0 || fits([...last, side])) last.push(side);
    else groups.push([...first, side]);
  }
  return groups.every(fits) ? groups : undefined;
}

function flatJob(inputs: PlanInputs, contexts: readonly number[], rounds: number): EstimatedJob {
  const tokens = Math.max(...contexts);
  // The same for all contexts; FLASH costs the same at each.
  const choice = chooseRecompute(inputs, "flash", tokens, tokens) ?? TRIED_ANYWAY;
  const sides = contexts.map((context): SpeedSide => {
    const batch = batchOf(tokens, context);
    return { model: "flash", context, batch, ...choice };
  });
  const together = sides.reduce((sum, side) => sum + bytesOf(inputs, side), 0) <= TOGETHER_SHARE * inputs.memory;
  return estimated(inputs, { id: `speed/flat-${tokens}`, series: "flat", sides, together, rounds });
}

type Draft = Pick<SpeedJob, "id" | "series" | "sides" | "together" | "rounds">;

function estimated(inputs: PlanInputs, { rounds, ...draft }: Draft): EstimatedJob {
  const steps = draft.sides.map(({ model, context, batch, recompute }) =>
    inputs.costs.step(model, context, batch * context, recompute),
  );
  const slowest = Math.max(...steps);
  const job: SpeedJob = draft.together
    ? { kind: "speed", ...draft, perStart: 1, ...sideBySideRounds(slowest, rounds) }
    : {
        kind: "speed",
        ...draft,
        ...IN_TURN,
        rounds: slowest > LONG_STEP_SECONDS ? 1 : Math.max(2, Math.ceil(rounds / 3)),
      };
  return { job, seconds: speedSeconds(inputs, job) };
}

/** Long steps are repeated less often: they vary less, and the start of a process matters less in them. */
function sideBySideRounds(stepSeconds: number, rounds: number): Pick<SpeedJob, "warmup" | "rounds"> {
  if (stepSeconds > 2 * LONG_STEP_SECONDS) return { warmup: 1, rounds: Math.min(2, rounds) };
  if (stepSeconds > LONG_STEP_SECONDS) return { warmup: 1, rounds: Math.min(3, rounds) };
  return { warmup: WARMUP, rounds };
}

function speedSeconds({ costs }: Pick<PlanInputs, "costs">, job: SpeedJob): number {
  let seconds = 0;
  for (const { model, context, batch, recompute } of job.sides) {
    const step = costs.step(model, context, batch * context, recompute) + SETTLE_SECONDS;
    seconds += job.together
      ? costs.start(model) + (job.warmup + job.rounds) * step
      : job.rounds * (costs.start(model) + (job.warmup + job.perStart) * step);
  }
  return seconds;
}

const bytesOf = ({ costs }: PlanInputs, { model, context, batch, recompute }: SpeedSide) =>
  costs.bytes(model, context, batch * context, recompute);
