/**
 * The training step of step.ts on a device with memory of its own: the gradients go from the training program to the
 * optimiser's (device-update.ts) without leaving the device. Results are read for several steps at a time; parameters and
 * moments when asked.
 */
import { program } from "../graph/program.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Engine, HostArraysByName, InputsByName } from "../runtime/engine.ts";
import { createDeviceUpdate, type DeviceUpdate } from "./device-update.ts";
import { flatGroups, flatten } from "./flat.ts";
import { gradientName, type TrainingProgram, trainedOf } from "./objective.ts";
import type { FloatArrays } from "./optimizer.ts";
import type { Batch, StepInputs, StepResult, TrainStep } from "./training-step.ts";
import { groupGradientName, LOG_STEPS } from "./update-program.ts";

/** Results are read when the device keeps no more of them, or when so many milliseconds have passed. */
const UNREAD_MS = 1000;

export interface DeviceStepOptions {
  /** Of the dense form. */
  readonly training: TrainingProgram;
  /** Reads the result of each step. Default: of several together. */
  readonly tellEach?: boolean | undefined;
  /** What the program is given of a batch. */
  inputsOf(batch: Batch): InputsByName;
  /** The states among the results, where they are carried on, by way of the host; each step's result is then read at once. */
  readonly afterOf?: ((results: HostArraysByName) => FloatArrays) | undefined;
}

/** The training that the device holds, and the arrays of the host that it began as. */
interface Held extends Pick<StepInputs, "parameters" | "state"> {
  readonly update: DeviceUpdate;
}

export async function createDeviceStep(
  engine: Engine,
  { training, inputsOf, afterOf, tellEach = afterOf !== undefined }: DeviceStepOptions,
): Promise<TrainStep> {
  const trained = trainedOf(training.parameters);
  const groups = flatGroups(trained);
  const { outputs } = training.program;
  const gradients = new Map(trained.map(({ path }) => [path, outputs.get(gradientName(path)) as Tensor]));
  const states = training.states.map((name) => [name, outputs.get(name) as Tensor]);
  const graph = program("training", {
    ...Object.fromEntries(groups.map((group, i) => [groupGradientName(i), flatten(group, gradients)])),
    loss: outputs.get("loss") as Tensor,
    ...Object.fromEntries(states),
  });
  const resident = [...graph.outputs.keys()].filter((name) => !training.states.includes(name));
  const compiled = await engine.compileResident(graph, resident);
  let held: Held | undefined;
  let since = 0;

  const begin = async ({ parameters, state, update, batches, config }: StepInputs): Promise<Held> => {
    await step.toHost();
    await held?.update.release();
    const initial = { parameters, optimizer: state, updates: update - 1 };
    const options = { groups, accumulate: batches.length, config };
    return { parameters, state, update: await createDeviceUpdate(engine, options, initial) };
  };

  const step: TrainStep = {
    async run(inputs) {
      const results = [...(await step.submit(inputs)), ...(await step.settle())];
      return results[results.length - 1];
    },
    async submit(inputs) {
      if (held?.parameters !== inputs.parameters || held.state !== inputs.state) held = await begin(inputs);
      const { update } = held;
      if (update.unread === 0) since = performance.now();
      const after: FloatArrays[] = [];
      for (const batch of inputs.batches) {
        const { host, device } = await compiled.run({ ...update.parameters, ...inputsOf(batch) });
        if (afterOf) after.push(afterOf(host));
        await update.add(device);
      }
      await update.apply(inputs.learningRate);
      const due = tellEach || update.unread === LOG_STEPS || performance.now() - since > UNREAD_MS;
      const results = due ? await step.settle() : [];
      return afterOf ? results.map((result) => ({ ...result, after })) : results;
    },
    async settle() {
      const outcomes = (await held?.update.read()) ?? [];
      const graphMs = (performance.now() - since) / outcomes.length;
      return outcomes.map((outcome): StepResult => ({ ...outcome, graphMs, optimizerMs: 0 }));
    },
    current: (parameters) => (held?.parameters === parameters ? held.update.averaged : parameters),
    async toHost() {
      await held?.update.download({ parameters: held.parameters, optimizer: held.state });
    },
    async release() {
      await held?.update.release();
      held = undefined;
      await compiled.release();
    },
  };
  return step;
}
