/**
 * A measured process: `worker.js SETUP`, driven by JSON lines (process.ts). It trains one model by the loop of
 * `longhand train`. Commands: "step" (the next event of that loop), "evaluate" (on the final text), "save", "memory",
 * "exit". Signals are ignored: the terminal sends Ctrl-C to this process too, and the parent decides what it means.
 */
import { mkdirSync } from "node:fs";
import { ortNodeEngine } from "longhand";
import { type HostTensor, sizeOf } from "longhand/graph";
import { modelOf, parametersOf } from "longhand/models";
import { initialise, randomKey } from "longhand/nn";
import {
  createEvaluator,
  createTrainStep,
  type Evaluator,
  evaluationShape,
  firstPlace,
  hostLoops,
  initialOptimizerState,
  type LoopState,
  listCheckpoints,
  loadLatestCheckpoint,
  type ModelParameters,
  placeInData,
  restoreState,
  rulesOf,
  type StepResult,
  saveCheckpoint,
  storedState,
  type TextLoss,
  type TokenSequence,
  type TrainStep,
  tokensInMemory,
  trainLoop,
} from "longhand/train";
import { openComparisonData } from "./data.ts";
import { positionRanges, readInWindow } from "./far-windows.ts";
import { farSpan } from "./jobs.ts";
import { madeUpTokens } from "./made-up-tokens.ts";
import { importModules } from "./modules.ts";
import { ask, askAt, recallBatch } from "./recall.ts";
import type { FarWindow, RecallAtDistance } from "./results.ts";
import { type Command, peakBytes, serveCommands } from "./serve.ts";
import type { WorkerEvaluation, WorkerHello, WorkerSetup, WorkerStep } from "./worker-setup.ts";

/** Made windows of an evaluation during training. */
const RECALL_WINDOWS = 64;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

const setup = JSON.parse(process.argv[2]) as WorkerSetup;
await importModules(setup.modules);
const { training, text, recall, checkpoints } = setup;
const engine = ortNodeEngine(setup.engine);
const loops = hostLoops(setup.engine);
const data = text && (await openComparisonData(text.folder, text));
const masking = training.objective === "masked" ? data?.tokenizer : undefined;
const model = modelOf(setup.model);
const trained = modelOf(setup.model, { recompute: training.recompute });
const corpora = recall ? [] : [{ name: "text", sequence: data?.train ?? madeUpText(), weight: 1 }];
const state = await initialState();
const objective = { weighted: recall !== undefined, masked: masking !== undefined };
const trainStep = await createTrainStep(engine, trained, training, { ...objective, tellEach: true, loops });
let last: StepResult | undefined;
const timedStep: TrainStep = {
  ...trainStep,
  async submit(inputs) {
    last = await trainStep.run(inputs);
    return [last];
  },
};

/** Compiled on first use, so that its memory does not count as that of training. */
let compiled: Promise<Evaluator> | undefined;
const evaluator: Evaluator = {
  async run(...inputs) {
    compiled ??= createEvaluator(engine, model, evaluationShape(training.context), { masking });
    return (await compiled).run(...inputs);
  },
  release: async () => (await compiled)?.release(),
};

/** Over made windows, whatever the text: those that `recallBatch` has for evaluation. */
const recallEvaluator: Evaluator<TextLoss> = {
  async run(parameters) {
    const { loss, answers } = await askAsTrained(parameters);
    const tokens = answers.reduce((sum, { asked }) => sum + asked, 0);
    return { loss, totalLoss: loss * tokens, tokens };
  },
  release: async () => {},
};

const loop = trainLoop({
  ...{ state, step: timedStep, evaluator: recall ? recallEvaluator : evaluator, corpora, masking },
  made: recall && ((index) => recallBatch({ ...recall, batch: training.batch, index, length: training.context })),
  heldOut: [{ name: "text", sequence: data?.curve ?? tokensInMemory(new Int32Array(0)) }],
  options: training,
  stopRequested: () => false, // the parent stops by not asking for the next step
});

function madeUpText(): TokenSequence {
  const { batch, context, seed } = training;
  const key = randomKey(seed, "made-up tokens");
  return tokensInMemory(madeUpTokens(key, setup.model.vocabSize, 2 * batch * context + 1));
}

async function initialState(): Promise<LoopState> {
  const declared = parametersOf(setup.model);
  const parameters = initialise(declared, training.seed);
  const optimizer = initialOptimizerState(parameters, rulesOf(declared, training.optimizer));
  if (checkpoints !== undefined && (await listCheckpoints(checkpoints)).length > 0) {
    const restored = restoreState(await loadLatestCheckpoint(checkpoints), { parameters, optimizer });
    const place = { stored: restored.data, step: restored.step, examplesPerStep: training.batch, corpora };
    return { ...restored, data: placeInData(place) };
  }
  const data = firstPlace(corpora);
  return { parameters, optimizer, step: 0, updates: 0, skippedInRow: 0, seconds: 0, data };
}

async function step(): Promise<WorkerStep> {
  const before = state.seconds;
  const { value: event } = await loop.next();
  if (event === undefined || event.type === "save" || event.type === "end") {
    throw new Error(`expected a step of a training of ${training.steps}, got ${event?.type ?? "nothing"}`);
  }
  return {
    event,
    milliseconds: 1000 * (state.seconds - before),
    phases: { graph: last?.graphMs ?? 0, optimizer: last?.optimizerMs ?? 0 },
    loss: last?.loss ?? Number.NaN,
    peakBytes: peakBytes(),
  };
}

async function evaluate(): Promise<WorkerEvaluation> {
  if (recall) {
    const { loss, answers } = await askAsTrained(trainStep.current(state.parameters));
    const [tokens, correct] = (["asked", "correct"] as const).map((field) =>
      answers.reduce((sum, own) => sum + own[field], 0),
    );
    return { loss, tokens, accuracy: correct / tokens, byPosition: [] };
  }
  if (data === undefined) throw new Error("this process was given no text");
  const { loss, tokens, accuracy, ...sums } = await evaluator.run(trainStep.current(state.parameters), data.final);
  return { loss, tokens, accuracy: Number.isNaN(accuracy) ? null : accuracy, byPosition: positionRanges(sums) };
}

/** The held-out text in windows of the context or longer ones, by position. */
async function evaluateBeyond({ window }: Command): Promise<FarWindow> {
  if (text === undefined || data === undefined) throw new Error("this process was given no text");
  const parameters = trainStep.current(state.parameters);
  const { final } = data;
  const tokens = farSpan(training.context, { evalTokens: text.evalTokens, textTokens: final.tokens });
  const request = { config: setup.model, parameters, text: final, tokens };
  return readInWindow(engine, { ...request, window: Number(window) });
}

/** Windows like those of the training, which it has not seen. */
function askAsTrained(parameters: ModelParameters) {
  return ask(engine, { config: setup.model, parameters, length: training.context, windows: RECALL_WINDOWS });
}

/** Recall at a distance. */
function askFar({ distance }: Command): Promise<RecallAtDistance> {
  const parameters = trainStep.current(state.parameters);
  return askAt(engine, Number(distance), { config: setup.model, parameters, context: training.context });
}

async function save(): Promise<object> {
  if (checkpoints === undefined) throw new Error("this process was given no folder for checkpoints");
  mkdirSync(checkpoints, { recursive: true });
  await trainStep.toHost();
  await saveCheckpoint(checkpoints, { ...storedState(state), keep: 1, onWarning: () => {} });
  return { step: state.step };
}

const hello: WorkerHello = {
  parameters: Object.values<HostTensor>(state.parameters).reduce((sum, { shape }) => sum + sizeOf(shape), 0),
  step: state.step,
  baseBytes: process.memoryUsage.rss(),
};

await serveCommands(hello, { step, evaluate, evaluateBeyond, askFar, save });
data?.close();
await engine.close();
await loops.close();
