/** How fast one model trains and decodes on this machine: real steps on made-up tokens, from its first parameters. */
import { setImmediate as pause } from "node:timers/promises";
import { randomKey, randomUniform } from "../../base/random.ts";
import type { RunConfig } from "../../config/run-config.ts";
import { createDecoder } from "../../generate/decoder.ts";
import { decodingArchitecture } from "../../models/decoding.ts";
import { modelOf } from "../../models/language-model.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";
import { createTrainStep } from "../../train/step.ts";
import type { Batch } from "../../train/training-step.ts";
import { initialState } from "../../training/state.ts";
import { hostLoops } from "../machine/host-loops.ts";
import type { BuiltPrograms } from "../machine/memory.ts";
import type { EnergyMeter } from "../machine/power.ts";

export interface SpeedRequest {
  readonly config: RunConfig;
  readonly built: BuiltPrograms;
  /** After which no further step of training is begun; the first timed one always is. */
  readonly trainSeconds: number;
  /** The same of decoding. */
  readonly decodeSeconds: number;
  readonly meter: EnergyMeter;
  readonly stopRequested: () => boolean;
}

/** Steps of one kind, one after the other. */
export interface Timing {
  readonly steps: number;
  /** Of all together, as the next two. */
  readonly seconds: number;
  readonly tokens: number;
  /** Undefined where the machine does not tell. */
  readonly joules: number | undefined;
}

export interface Speed {
  readonly training?: Timing | undefined;
  /** Reading a token and having the logits of the next one, at the beginning of a text. */
  readonly decoding?: Timing | undefined;
}

/** What there was time for before a stop was requested. */
export async function measureSpeed(request: SpeedRequest): Promise<Speed> {
  const { config, trainSeconds, decodeSeconds } = request;
  const { parameters, optimizer } = initialState(config);
  const { device, threads } = config.engine;
  const engine = ortNodeEngine({ device, threads });
  const loops = hostLoops({ device, threads });
  try {
    const { training } = config;
    const model = modelOf(config.model, { recompute: training.recompute });
    const trainStep = await createTrainStep(engine, model, training, { built: request.built.training, loops });
    const inputs = { parameters, state: optimizer, batches: madeUpBatches(config), config: training.optimizer };
    let update = 0;
    const train = async () => {
      update += 1;
      await trainStep.submit({ ...inputs, learningRate: training.schedule.peak, update });
    };
    const settle = async () => void (await trainStep.settle());
    const tokens = training.accumulate * training.batch * training.context;
    const trained = await timed(request, { step: train, settle, seconds: trainSeconds, tokens });
    await trainStep.toHost();
    await trainStep.release();

    const arrays = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
    const architecture = decodingArchitecture(config.model);
    const decoder = await createDecoder({ engine, architecture, parameters: arrays });
    const decode = async () => {
      if (decoder.position === decoder.maxLength) await decoder.reset();
      await decoder.step(decoder.position % config.model.vocabSize);
    };
    const decoded = await timed(request, { step: decode, seconds: decodeSeconds, tokens: 1 });
    await decoder.release();
    return { training: trained, decoding: decoded };
  } finally {
    await engine.close();
    await loops.close();
  }
}

interface TimedSteps {
  readonly step: () => Promise<void>;
  /** Waits for steps that are still being computed. */
  readonly settle?: () => Promise<void>;
  readonly seconds: number;
  /** Of one step. */
  readonly tokens: number;
}

/** A first step, which prepares memory and kernels, and then those that count. Undefined when none was taken. */
async function timed(
  { meter, stopRequested }: SpeedRequest,
  { step, settle = async () => {}, seconds, tokens }: TimedSteps,
): Promise<Timing | undefined> {
  if (stopRequested()) return undefined;
  await step();
  await settle();
  await pause(); // so that a signal is heard: with onnxruntime-node a run blocks the event loop
  let steps = 0;
  let taken = 0;
  const joules = "joules" in meter ? meter.joules : () => undefined;
  joules();
  const started = performance.now();
  while ((steps === 0 || taken < seconds) && !stopRequested()) {
    await step();
    await pause();
    steps += 1;
    taken = (performance.now() - started) / 1000;
  }
  await settle();
  taken = (performance.now() - started) / 1000;
  return steps === 0 ? undefined : { steps, seconds: taken, tokens: steps * tokens, joules: joules() };
}

/** The batches of one step, of tokens that are all equally likely: speed does not depend on what they are. */
function madeUpBatches({ model, training: { accumulate, batch, context } }: RunConfig): Batch[] {
  return Array.from({ length: accumulate }, (_, i) => {
    const key = randomKey(1, "benchmark tokens", i);
    const text = Int32Array.from({ length: batch * context + 1 }, (_, at) =>
      Math.floor(model.vocabSize * randomUniform(key, at)),
    );
    return { tokens: text.slice(0, -1), targets: text.slice(1) };
  });
}
