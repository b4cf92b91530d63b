/**
 * A measured process: `worker.js SETUP`, JSON lines as in worker-process.ts. It builds one model and takes real training
 * steps, one a command: "step", "evaluate" (curve or final), "save", "memory", "exit". Stopping is the parent's matter: a
 * Ctrl-C of the terminal reaches this process too and is left to it.
 */

import { mkdirSync, readFileSync } from "node:fs";
import { ortNodeEngine } from "longhand";
import { type HostTensor, sizeOf } from "longhand/graph";
import { languageModel, parametersOf } from "longhand/models";
import { initialise, randomKey, randomUniform } from "longhand/nn";
import {
  type Batch,
  createEvaluator,
  createTrainStep,
  type Evaluation,
  evaluationShape,
  initialOptimizerState,
  learningRate,
  listCheckpoints,
  loadLatestCheckpoint,
  type MaskingVocabulary,
  type Model,
  maskedBatch,
  restoreState,
  saveCheckpoint,
  storedState,
  type TokenSequence,
  type TrainingState,
  tokensInMemory,
  trainingBatch,
} from "longhand/train";
import { type ComparisonData, openComparisonData } from "./data.ts";
import { type Command, peakBytes, serveCommands } from "./serve-commands.ts";
import {
  OPTIMIZER,
  type PositionSum,
  type WorkerEvaluation,
  type WorkerHello,
  type WorkerSetup,
  type WorkerStep,
  workerSetupSchema,
} from "./worker-setup.ts";

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

const setup = workerSetupSchema.parse(JSON.parse(readFileSync(process.argv[2], "utf8")));
const engine = ortNodeEngine({ threads: setup.threads, device: setup.device });
const data = setup.text && (await openComparisonData(setup.text.folder, setup.text));
const source = data?.train ?? madeUpTokens(setup);
const masking: MaskingVocabulary | undefined = setup.objective === "masked" ? required().tokenizer : undefined;
const model: Model = (scope, tokens, mask) => languageModel(scope, tokens, setup.model, mask);
const { recompute } = setup;
const trained: Model = (scope, tokens, mask) => languageModel(scope, tokens, setup.model, mask, { recompute });
const state = await initialState();
const trainStep = await createTrainStep(engine, trained, setup, { weighted: masking !== undefined });

async function initialState(): Promise<TrainingState> {
  const parameters = initialise(parametersOf(setup.model), setup.seed);
  const folder = setup.text?.checkpoints;
  if (folder !== undefined && (await listCheckpoints(folder)).length > 0) {
    return restoreState(await loadLatestCheckpoint(folder), parameters);
  }
  return { parameters, optimizer: initialOptimizerState(parameters), step: 0, updates: 0, skippedInRow: 0, seconds: 0 };
}

function batchAt(index: number): Batch {
  const { context, batch, seed } = setup;
  const plain = trainingBatch({ sequence: source, context, batch, seed, index });
  return masking === undefined ? plain : maskedBatch({ vocabulary: masking, tokens: plain.tokens, seed, index });
}

async function step(): Promise<WorkerStep> {
  const started = performance.now();
  const result = await trainStep.run({
    parameters: state.parameters,
    state: state.optimizer,
    batches: [batchAt(state.step)],
    learningRate: learningRate(setup.schedule, Math.min(state.step + 1, setup.steps), setup.steps),
    update: state.updates + 1,
    config: OPTIMIZER,
  });
  const milliseconds = performance.now() - started;
  state.step += 1;
  state.seconds += milliseconds / 1000;
  if (result.applied) state.updates += 1;
  return {
    milliseconds,
    phases: { graph: result.graphMs, optimizer: result.optimizerMs },
    loss: result.loss,
    applied: result.applied,
  };
}

let evaluator: Awaited<ReturnType<typeof createEvaluator>> | undefined;

async function evaluate(sequence: TokenSequence): Promise<WorkerEvaluation> {
  const started = performance.now();
  evaluator ??= await createEvaluator(engine, model, evaluationShape(setup.context), { masking });
  const result = await evaluator.run(state.parameters, sequence);
  return {
    loss: result.loss,
    tokens: result.tokens,
    accuracy: Number.isNaN(result.accuracy) ? null : result.accuracy,
    byPosition: ranges(result),
    milliseconds: performance.now() - started,
  };
}

/** Sums over ranges that double from 16 on: 0-15, 16-31, 32-63, … */
function ranges({ lossByPosition, tokensByPosition }: Evaluation): PositionSum[] {
  const sums: PositionSum[] = [];
  for (let from = 0; from < lossByPosition.length; ) {
    const to = Math.min(lossByPosition.length, from === 0 ? 16 : 2 * from);
    const add = (values: Float64Array) => values.subarray(from, to).reduce((sum, value) => sum + value, 0);
    sums.push({ from, to, nats: add(lossByPosition), tokens: add(tokensByPosition) });
    from = to;
  }
  return sums;
}

function required(): ComparisonData {
  if (data === undefined) throw new Error("this process was given no text");
  return data;
}

async function save(): Promise<object> {
  const folder = setup.text?.checkpoints;
  if (folder === undefined) throw new Error("this process was given no folder for checkpoints");
  mkdirSync(folder, { recursive: true });
  await saveCheckpoint(folder, { ...storedState(state), keep: 1, onWarning: () => {} });
  return { step: state.step };
}

/** Seeded tokens with the frequencies of text: rank r about as often as 1 / r. */
function madeUpTokens({ batch, context, model: { vocabSize }, seed }: WorkerSetup): TokenSequence {
  const key = randomKey(seed, "made-up tokens");
  return tokensInMemory(
    Int32Array.from({ length: 2 * batch * context + 1 }, (_, i) =>
      Math.min(vocabSize - 1, Math.floor(vocabSize ** randomUniform(key, i)) - 1),
    ),
  );
}

const hello: WorkerHello = {
  parameters: Object.values<HostTensor>(state.parameters).reduce((sum, { shape }) => sum + sizeOf(shape), 0),
  step: state.step,
  seconds: state.seconds,
  baseBytes: process.memoryUsage.rss(),
};

await serveCommands(hello, {
  step,
  evaluate: (command: Command) =>
    evaluate((command as Command & { part?: string }).part === "final" ? required().final : required().curve),
  save,
  memory: async () => ({ peakBytes: peakBytes() }),
});
data?.close();
await engine.close();
