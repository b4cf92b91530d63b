/** One training by several processes: whatever their number, it has the examples, losses and evaluations of one process. */
import { afterAll, describe, expect, it } from "vitest";
import { expectClose } from "../../test/support/compare.ts";
import { ranksHere } from "../../test/support/ranks.ts";
import { firstPlace, type WeightedCorpus } from "../data/mixture.ts";
import { tokensInMemory } from "../data/token-sequence.ts";
import { carriedState } from "../models/carry.ts";
import { parseModelConfig } from "../models/config.ts";
import { modelOf, parametersOf } from "../models/language-model.ts";
import type { CarriedState } from "../nn/past.ts";
import { initialise } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { emptyLanes, gatherLanes } from "./carried.ts";
import { alone, type Communicator } from "./communicator.ts";
import { createEvaluator } from "./evaluate.ts";
import { withLocalSteps, withOuter } from "./local-steps.ts";
import { type EvalRecord, type LoopInputs, type LoopOptions, type LoopState, trainLoop } from "./loop.ts";
import { initialOptimizerState, type OptimizerState } from "./optimizer.ts";
import { Shard } from "./shard.ts";
import { shareOf } from "./share.ts";
import { createTrainStep } from "./step.ts";
import { createWholeEvaluator } from "./whole.ts";

const [context, endOfText, vocabSize] = [16, 0, 31];
const engine = ortNodeEngine({ threads: 1 });
afterAll(() => engine.close());

const text = (tokens: number, length: number, seed = 1) =>
  tokensInMemory(
    Int32Array.from({ length: tokens }, (_, i) =>
      i % length === 0 ? endOfText : 3 + ((i * i + seed * (i >> 2)) % 28),
    ),
  );
const corpora: WeightedCorpus[] = [
  { sequence: text(700, 57), weight: 2 },
  { sequence: text(400, 90, 2), weight: 1 },
];
const heldOut = [
  { name: "one", sequence: text(300, 40, 3) },
  { name: "other", sequence: text(90, 23, 4) },
];

interface Kind {
  readonly batch: number;
  readonly accumulate: number;
  readonly masked?: boolean;
  readonly carry?: boolean;
  /** Whether the moments are divided. */
  readonly divided?: boolean;
  /** Steps between meetings; default: they meet in every step. */
  readonly every?: number;
}

const optionsOf = ({ batch, accumulate }: Kind): LoopOptions => ({
  ...{ batch, context, accumulate, steps: 6, seed: 1, evalEvery: 3, saveEvery: 100, maxSkips: 3 },
  optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, clip: 1, name: "muon", ema: 0.9 },
  schedule: { peak: 5e-3, warmup: 0, decay: "constant", floor: 0 },
});

interface Trained {
  readonly losses: readonly number[];
  readonly evaluations: readonly EvalRecord[];
  readonly state: LoopState;
  /** The moments of all processes, where they are divided. */
  readonly whole: OptimizerState | undefined;
}

/** `stopAt`: the step at which this process is asked to stop. */
async function trainedBy(communicator: Communicator, kind: Kind, stopAt?: number): Promise<Trained> {
  const { batch, accumulate, masked = false, carry = false, divided = false, every } = kind;
  const config = parseModelConfig({
    ...{ architecture: "flash", vocabSize, width: 16, layers: 1, shared: 8, chunk: 8, maxLength: context },
    causal: !masked,
  });
  const model = modelOf(config);
  const carried = carry ? (carriedState(config) as CarriedState) : undefined;
  const { rows } = shareOf(kind, communicator);
  const masking = masked ? { vocabSize, special: { endOfText, padding: 1, mask: 2 } } : undefined;
  const how = { masked, carried, endOfText: carry ? undefined : endOfText };
  const shape = { batch: rows, context, whole: batch };
  const parameters = initialise(parametersOf(config), 1);
  const shard = divided ? new Shard(parameters, communicator) : undefined;
  const step =
    every === undefined
      ? await createTrainStep(engine, model, shape, { ...how, communicator, shard })
      : withLocalSteps(await createTrainStep(engine, model, shape, how), {
          every,
          outer: { rate: 0.7, momentum: 0.5 },
          communicator,
        });
  const evaluator = carried
    ? createWholeEvaluator(engine, model, { carried, endOfText, communicator })
    : await createEvaluator(engine, model, { batch: 2, context }, { masking, endOfText, communicator });
  const lanes = carry ? 2 * batch * accumulate : 0;
  const optimizer = initialOptimizerState(parameters, undefined, 0.9);
  const state: LoopState = {
    ...{ parameters, optimizer: every === undefined ? optimizer : withOuter(optimizer) },
    ...{ step: 0, updates: 0, skippedInRow: 0, seconds: 0, data: firstPlace(corpora, lanes) },
    carried: carried && emptyLanes(carried, corpora.length * lanes),
  };
  const inputs: LoopInputs = {
    ...{ state, step, evaluator, corpora, heldOut, masking, communicator, options: optionsOf(kind) },
    carry: carried && { carried, endOfText, separate: false, lanes },
    stopRequested: () => stopAt !== undefined && state.step >= stopAt,
  };
  const losses: number[] = [];
  const evaluations: EvalRecord[] = [];
  for await (const event of trainLoop(inputs)) {
    if (event.type === "train") losses.push(event.loss);
    if (event.type === "eval") evaluations.push(event);
  }
  if (state.carried) await gatherLanes(communicator, state.carried, batch * accumulate);
  await step.release();
  await evaluator.release();
  const whole = await shard?.withWhole(state.optimizer, "the moments", async ({ m, v, ...rest }) => {
    const [copyOfM, copyOfV] = [m, v].map((arrays) =>
      Object.fromEntries(Object.entries(arrays).map(([path, values]) => [path, Float32Array.from(values)])),
    );
    return { ...rest, m: copyOfM, v: copyOfV };
  });
  return { losses, evaluations, state, whole };
}

/** What all of so many processes come to. */
const trainedByRanks = (size: number, kind: Kind, stopAt: readonly (number | undefined)[] = []) =>
  Promise.all(ranksHere(size).map((communicator, rank) => trainedBy(communicator, kind, stopAt[rank])));

const kinds: Readonly<Record<string, Kind>> = {
  "a batch": { batch: 4, accumulate: 1 },
  "batches that accumulate": { batch: 2, accumulate: 2 },
  "batches that do not divide": { batch: 4, accumulate: 3 },
  "masked batches": { batch: 4, accumulate: 1, masked: true },
  "lanes that are carried on": { batch: 2, accumulate: 2, carry: true },
};

describe.each(Object.entries(kinds))("%s", (_, kind) => {
  it.each([2, 4])("is trained on by %i processes as by one", async (size) => {
    const one = await trainedBy(alone, kind);
    const ranks = await trainedByRanks(size, kind);
    for (const own of ranks) {
      expect(own.state).toEqual({ ...ranks[0].state, seconds: own.state.seconds });
      expect(own.losses).toEqual(ranks[0].losses);
      expect(own.evaluations).toEqual(ranks[0].evaluations);
    }
    const [{ losses, evaluations, state }] = ranks;
    expectClose([losses[0]], [one.losses[0]], { name: "first loss", tolerance: 1e-6 });
    expectClose(losses, one.losses, { name: "losses", tolerance: 1e-4 });
    expect(evaluations.map(({ tokens }) => tokens)).toEqual(one.evaluations.map(({ tokens }) => tokens));
    for (const [i, { loss, parts = [] }] of evaluations.entries()) {
      const expected = one.evaluations[i];
      expectClose([loss], [expected.loss], { name: "held-out loss", tolerance: 1e-4 });
      expectClose(
        parts.map((part) => part.loss),
        (expected.parts ?? []).map((part) => part.loss),
        { name: "held-out parts", tolerance: 1e-4 },
      );
    }
    expect(state.data).toEqual(one.state.data);
    expect(state.carried?.positions).toEqual(one.state.carried?.positions);
  });
});

it("ends for all of them when one is asked to stop", async () => {
  const ranks = await trainedByRanks(2, kinds["a batch"], [undefined, 3]);
  expect(ranks.map(({ state }) => state.step)).toEqual([3, 3]);
});

it("is the same to the bit with moments that are divided, and each process has its own alone", async () => {
  const kind: Kind = { batch: 3, accumulate: 1 };
  const [first] = await trainedByRanks(3, kind);
  const divided = await trainedByRanks(3, { ...kind, divided: true });
  for (const { state, losses } of divided) {
    expect(losses).toEqual(first.losses);
    expect(state.parameters).toEqual(first.state.parameters);
    expect(state.optimizer.average).toEqual(first.state.optimizer.average);
  }
  expect(divided[0].whole).toEqual(first.state.optimizer);
  const kept = divided.map(({ state }) =>
    Object.keys(state.optimizer.m).filter((path) => state.optimizer.m[path].some(Boolean)),
  );
  expect(kept.flat().sort()).toEqual(Object.keys(first.state.optimizer.m).sort());
  for (const paths of kept) expect(paths.length).toBeGreaterThan(0);
});

it("is alike after meetings every few steps, at which all are told and a stop is heard", async () => {
  const kind: Kind = { batch: 4, accumulate: 1, every: 2 };
  const ranks = await trainedByRanks(2, kind, [undefined, 3]);
  for (const { state, losses } of ranks) {
    expect(state).toEqual({ ...ranks[0].state, seconds: state.seconds, step: 3 });
    expect(losses).toHaveLength(3); // steps 1 and 2, and 3, before whose evaluation they met
  }
  const [{ losses, evaluations }] = await trainedByRanks(2, kind);
  expectClose([losses[0]], (await trainedBy(alone, kind)).losses.slice(0, 1), { name: "loss", tolerance: 1e-6 });
  expect(losses).toHaveLength(6);
  expect(evaluations[1].loss).toBeLessThan(evaluations[0].loss);
});

describe("a share", () => {
  it("is a row of consecutive examples in parts of one size", () => {
    const shares = [0, 1, 2].map((rank) => shareOf({ batch: 4, accumulate: 3 }, { rank, size: 3 }));
    expect(shares.map(({ first }) => first)).toEqual([0, 4, 8]);
    expect(shares[0]).toEqual({ first: 0, examples: 4, rows: 4, parts: 1 });
    expect(shareOf({ batch: 6, accumulate: 2 }, { rank: 1, size: 3 })).toEqual({
      ...{ first: 4, examples: 4, rows: 2, parts: 2 },
    });
  });

  it("is refused where the processes cannot take as many each", () => {
    expect(() => shareOf({ batch: 8, accumulate: 1 }, { rank: 0, size: 3 })).toThrow(
      "`batch` 8: 3 processes cannot take as many each of the 8 examples of a step; choose `batch` 9, or 1, 2, 4 or 8 processes",
    );
  });
});
