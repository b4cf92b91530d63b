/** What a training step is, on the host or on a device: what it is given, what comes of it. */
import type { HostTensor } from "../base/dtype.ts";
import type { DeviceTensor, HostArraysByName } from "../runtime/engine.ts";
import type { FloatArrays, OptimizerState } from "./optimizer.ts";
import type { OptimizerConfig } from "./optimizer-config.ts";

export interface Batch {
  /** [B, T] */
  readonly tokens: Int32Array;
  /** [B, T] */
  readonly targets: Int32Array;
  /** [B, T]: how much each token counts in the loss; of a weighted step, and of no other. */
  readonly weights?: Float32Array;
  /** What its windows go on from, by the names of inputs (carried.ts); of a step that carries states, and of no other. */
  readonly past?: HostArraysByName;
}

export interface StepInputs {
  /** Updated, as is the state: in place, or on the device, which takes what it is first given and goes on from there. */
  readonly parameters: Readonly<Record<string, HostTensor>>;
  readonly state: OptimizerState;
  /** Accumulated: the step is that of their mean. At least one. */
  readonly batches: readonly Batch[];
  readonly learningRate: number;
  /** 1 for the first update that is applied. A device counts on by itself. */
  readonly update: number;
  readonly config: OptimizerConfig;
}

/** What came of a step. */
export interface StepOutcome {
  /** Mean nats a predicted token before the update. */
  readonly loss: number;
  /** Global, before clipping. */
  readonly gradientNorm: number;
  /** Whether parameters were updated; not when loss or norm is not finite. */
  readonly applied: boolean;
}

export interface StepResult extends StepOutcome {
  /** Milliseconds in the compiled program. */
  readonly graphMs: number;
  /** Milliseconds in clipping and the optimiser; 0 where the device does both together. */
  readonly optimizerMs: number;
  /** Of a step that carries states: those after the windows of each batch, by `state.LAYER.NAME` [B, …]. */
  readonly after?: readonly FloatArrays[];
}

/** Parameters by path, where they are. */
export type ModelParameters = Readonly<Record<string, HostTensor | DeviceTensor>>;

export interface TrainStep {
  /** Takes a step and waits for its result. */
  run(inputs: StepInputs): Promise<StepResult>;
  /** Takes a step. Returns the results known by now, in order: on a device none for some steps, then those of several. */
  submit(inputs: StepInputs): Promise<readonly StepResult[]>;
  /** The results of submitted steps that have not been returned yet. */
  settle(): Promise<readonly StepResult[]>;
  /** These parameters after all steps, or their average where one is kept, where they are: for evaluation. */
  current(parameters: StepInputs["parameters"]): ModelParameters;
  /** Brings parameters and state on the host up to date. */
  toHost(): Promise<void>;
  release(): Promise<void>;
}
