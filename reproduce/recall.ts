/**
 * Recall over a distance, measured: the batches of a training on made windows (recall-windows.ts), and the answers of
 * the trained model at chosen distances, most of them beyond the context of its training.
 */
import type { Engine, ModelConfig } from "longhand";
import { architectureByName, evaluationMemory, modelOf } from "longhand/models";
import { type Batch, evaluationProgram, evaluationShape, type ModelParameters } from "longhand/train";
import { memoryFor } from "./process.ts";
import { type RecallRequest, recallTaskNames, recallWindow } from "./recall-windows.ts";
import type { RecallAtDistance } from "./results.ts";

/** A batch of made windows, with the weights of its answers: one over their number. */
interface RecallBatch extends Batch {
  readonly weights: Float32Array;
  readonly answers: readonly { readonly task: (typeof recallTaskNames)[number]; readonly at: number }[];
}

interface RecallBatchRequest extends Omit<RecallRequest, "example"> {
  /** Windows of a batch. */
  readonly batch: number;
  /** Number of the batch. */
  readonly index: number;
}

export function recallBatch({ batch, index, ...request }: RecallBatchRequest): RecallBatch {
  const { length } = request;
  const made = { tokens: new Int32Array(batch * length), targets: new Int32Array(batch * length) };
  const answers = Array.from({ length: batch }, (_, row) => {
    const window = recallWindow({ ...request, example: index * batch + row });
    made.tokens.set(window.tokens, row * length);
    made.targets.set(window.targets, row * length);
    return window.answers.map(({ task, position }) => ({ task, at: row * length + position }));
  }).flat();
  const weights = new Float32Array(batch * length);
  for (const { at } of answers) weights[at] = 1 / answers.length;
  return { ...made, weights, answers };
}

/** No training has it: theirs are not negative. */
const EVALUATION_SEED = -1;
/** Windows at a distance: as many as this many tokens make, within bounds. */
const TOKENS = 2 ** 19;
const [FEWEST, MOST] = [16, 64];

/** Tokens of the windows in which a model is asked at this distance, those of the training where it fits; how many. */
export function windowsAt(distance: number, context: number): { readonly length: number; readonly windows: number } {
  const length = 2 * distance <= context ? context : context * Math.ceil((context + distance) / context);
  return { length, windows: Math.max(FEWEST, Math.min(MOST, Math.floor(TOKENS / length))) };
}

interface AskRequest {
  readonly config: ModelConfig;
  readonly parameters: ModelParameters;
  /** Tokens of a window. */
  readonly length: number;
  /** At least so many: as many as whole batches make. */
  readonly windows: number;
  readonly distance?: number | undefined;
}

interface Asked {
  /** Mean nats an answer. */
  readonly loss: number;
  readonly answers: RecallAtDistance["answers"];
}

/** Asks in windows that no training has seen. */
export async function ask(engine: Engine, request: AskRequest): Promise<Asked> {
  const { config, parameters, length, windows, distance } = request;
  const { batch } = evaluationShape(length);
  const { program } = evaluationProgram(modelOf(config), { batch, context: length }, { judged: true });
  const compiled = await engine.compile(program);
  const inputs = Object.fromEntries(
    Object.entries(parameters).map(([path, own]) => [path, "data" in own ? own.data : own]),
  );
  const answers = recallTaskNames.map((task) => ({ task, asked: 0, correct: 0 }));
  let nats = 0;
  try {
    for (let index = 0; index * batch < windows; index++) {
      const made = recallBatch({ seed: EVALUATION_SEED, batch, index, length, distance });
      const { tokens, targets, weights } = made;
      const { losses, correct } = await compiled.run({ ...inputs, tokens, targets, weights });
      for (const { task, at } of made.answers) {
        const own = answers[recallTaskNames.indexOf(task)];
        own.asked += 1;
        own.correct += correct[at];
        nats += losses[at];
      }
    }
  } finally {
    await compiled.release();
  }
  return { loss: nats / answers.reduce((sum, { asked }) => sum + asked, 0), answers };
}

/** Asks at a distance, in windows long enough for it; or says why not. */
export async function askAt(
  engine: Engine,
  distance: number,
  { config, parameters, context }: Pick<AskRequest, "config" | "parameters"> & { readonly context: number },
): Promise<RecallAtDistance> {
  const { length, windows } = windowsAt(distance, context);
  const leftOut =
    architectureByName(config.architecture).contextProblem(config, length) ??
    memoryFor(evaluationMemory(config, length));
  if (leftOut !== undefined) return { distance, answers: [], leftOut };
  const { answers } = await ask(engine, { config, parameters, length, windows, distance });
  return { distance, answers, leftOut: null };
}
