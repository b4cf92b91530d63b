/**
 * A learning rate for the text and model at hand: short trainings, each from the same start and with a whole schedule of
 * its own, compared by their held-out loss. From the usual rate by factors of two towards the better side, until it gets
 * no better.
 */
import { LonghandError } from "../base/errors.ts";
import { alone, anyOf } from "./communicator.ts";
import { type LoopInputs, type LoopState, trainLoop } from "./loop.ts";

export interface RateTrial {
  readonly rate: number;
  /** Held-out, nats a token; Infinity where training diverged. */
  readonly loss: number;
}

export interface RateSearch {
  /** Each trial of this loop, but for its state, steps and schedule. */
  readonly loop: Omit<LoopInputs, "state">;
  /** The state before the first step, anew for each trial. */
  readonly begin: () => LoopState;
  /** Steps of a trial. */
  readonly steps: number;
  /** The rate to begin with. */
  readonly from: number;
}

export const MOST_TRIALS = 5;
const FACTOR = 2;

/** Steps of a trial: together at most a fifth of the training, unless that is too few to tell anything. */
export function trialSteps(steps: number): number {
  return Math.max(40, Math.ceil(steps / (5 * MOST_TRIALS)));
}

/** The trials in order; ends early, with what is known, when a stop is asked for. */
export async function* searchRate(search: RateSearch): AsyncGenerator<RateTrial> {
  const { loop, from } = search;
  const tried: RateTrial[] = [];
  const lossAt = (rate: number) => tried.find((trial) => trial.rate === rate)?.loss;
  for (let rate: number | undefined = from; rate !== undefined && tried.length < MOST_TRIALS; rate = next()) {
    const loss = await lossOf(search, rate);
    if ((await stopsSearch(loop)) || loss === undefined) return;
    tried.push({ rate, loss });
    yield { rate, loss };
  }

  /** The first neighbour of the best that has not been tried. */
  function next(): number | undefined {
    const { rate, loss } = bestOf(tried);
    const neighbours = Number.isFinite(loss) ? [rate * FACTOR, rate / FACTOR] : [rate / FACTOR];
    return neighbours.find((other) => lossAt(other) === undefined);
  }
}

/** The rate of the lowest loss. Throws "diverged" when no trial was finite. */
export function bestRate(trials: readonly RateTrial[]): number {
  const best = bestOf(trials);
  if (Number.isFinite(best.loss)) return best.rate;
  const rates = trials.map(({ rate }) => rate).join(", ");
  throw new LonghandError("diverged", `learning rate: training diverged at every rate that was tried: ${rates}`);
}

/** The lowest loss; of equal ones the lowest rate. */
function bestOf(trials: readonly RateTrial[]): RateTrial {
  return trials.reduce((a, b) => (b.loss < a.loss || (b.loss === a.loss && b.rate < a.rate) ? b : a));
}

/** Whether any of the processes that search together is asked to stop. */
export function stopsSearch({ communicator = alone, stopRequested }: RateSearch["loop"]): Promise<boolean> {
  return anyOf(communicator, stopRequested(), { what: "the end of a trial" });
}

/** Undefined when it was stopped. */
async function lossOf({ loop, begin, steps }: RateSearch, rate: number): Promise<number | undefined> {
  const schedule = { peak: rate, warmup: Math.ceil(steps / 10), decay: "linear", floor: 0 } as const;
  const options = { ...loop.options, steps, schedule, evalEvery: steps, saveEvery: steps };
  let loss: number | undefined;
  try {
    for await (const event of trainLoop({ ...loop, options, state: begin() }))
      if (event.type === "eval") loss = event.loss;
    return loss;
  } catch (error) {
    if (error instanceof LonghandError && error.code === "diverged") return Number.POSITIVE_INFINITY;
    throw error;
  }
}
