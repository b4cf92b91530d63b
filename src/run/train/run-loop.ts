/** The loop of a training over a run folder: what Node brings to training/run-training.ts. */
import { setTimeout as pause } from "node:timers/promises";
import { LonghandError } from "../../base/errors.ts";
import { listCheckpoints, saveCheckpoint } from "../../checkpoint/checkpoints.node.ts";
import { writeConfig } from "../../checkpoint/run-folder.node.ts";
import { acquireRunLock, type RunLock } from "../../checkpoint/run-lock.node.ts";
import type { RunConfig } from "../../config/run-config.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";
import { alone, type Communicator } from "../../train/communicator.ts";
import type { LoopState } from "../../train/loop.ts";
import { Shard } from "../../train/shard.ts";
import { tokensOf } from "../../training/corpora.ts";
import {
  type LoopEvent,
  type RateSearch,
  type RunKeeper,
  runTraining,
  type TrainResult,
} from "../../training/run-training.ts";
import { corporaOf } from "../data/corpora.ts";
import type { PrepareProgress } from "../data/run-data.ts";
import type { RunData } from "../data/run-tokens.ts";
import { hostLoops } from "../machine/host-loops.ts";
import { type BuiltPrograms, explainMemory } from "../machine/memory.ts";
import { openMetrics } from "../records/metrics.ts";
import { writeAdapter } from "../use/adapter.ts";
import { requireSameState } from "./alike.ts";
import { findRate, type RateEvent } from "./find-rate.ts";
import type { Start } from "./start.ts";
import { AgreedError, keptByFirst } from "./together.ts";

export type { TrainResult } from "../../training/run-training.ts";

export type RunEvent = ({ readonly type: "prepare" } & PrepareProgress) | LoopEvent | RateEvent;

export interface TrainOptions {
  readonly onEvent?: (event: RunEvent) => void;
  /** Ends training after the current step, with a checkpoint. Before the first step, throws its reason and keeps nothing. */
  readonly signal?: AbortSignal;
  /** Fields of the full configuration to set, by dotted name ("model.expansion"). */
  readonly overrides?: Readonly<Record<string, unknown>>;
  /**
   * Processes that train together, each with the same call; the first writes, and tells events. What goes wrong with one ends
   * all of them, most of it by an AgreedError. Default: this one alone.
   */
  readonly communicator?: Communicator | undefined;
  /** With several: what is divided over them instead of kept by each. Default: nothing. */
  readonly shard?: "optimizer" | undefined;
  /** With several: steps between comparisons of their parameters. Default: 100. */
  readonly compareEvery?: number | undefined;
}

const COMPARE_EVERY = 100;
const LOCK_PATIENCE_MS = 2000;

/** Locks a run. Waits a moment for a holder that is about to exit, such as one whose parent was just killed. */
export async function lockRun(run: string): Promise<RunLock> {
  const deadline = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      return await acquireRunLock(run);
    } catch (error) {
      const held = error instanceof LonghandError && error.code === "usage";
      if (!held || performance.now() > deadline) throw error;
      await pause(50);
    }
  }
}

export interface LoopRunOptions extends TrainOptions {
  /** The programs, if they have been built already. */
  readonly built: BuiltPrograms | undefined;
  readonly deviceReason?: string | undefined;
  /** Parameters that the run begins from, where it has not begun. */
  readonly start?: Start | undefined;
  /** What of the optimiser's state is this process's. Default: everything. */
  readonly division?: Shard | undefined;
}

/** What of the state of a run is this process's, where that is divided. Throws "usage" where it cannot be. */
export function divisionOf(
  { training }: RunConfig,
  { parameters, optimizer }: Pick<LoopState, "parameters" | "optimizer">,
  { communicator = alone, shard }: Pick<TrainOptions, "communicator" | "shard">,
): Shard | undefined {
  if (shard === undefined || communicator.size === 1) return undefined;
  if (training.syncEvery > 0) {
    const reason = "since processes that take steps of their own each need all moments";
    throw new LonghandError("usage", `\`shard\` cannot be combined with \`syncEvery\`, ${reason}`);
  }
  const trained = Object.keys(optimizer.m).map((path) => [path, parameters[path]] as const);
  return new Shard(Object.fromEntries(trained), communicator);
}

/** The loop over a run that is locked and whose data are open, which it closes. */
export async function runLoop(
  run: string,
  config: RunConfig,
  data: RunData,
  state: LoopState,
  { signal, built, deviceReason, start, division, ...options }: LoopRunOptions,
): Promise<TrainResult> {
  const { communicator = alone, compareEvery = COMPARE_EVERY } = options;
  const first = communicator.rank === 0;
  const onEvent = (first && options.onEvent) || (() => {});
  const engine = ortNodeEngine({ device: config.engine.device, threads: config.engine.threads });
  const loops = hostLoops(config.engine);
  const metrics = first ? await openMetrics(run, { resumeStep: state.step }) : undefined;
  const { adapter } = config.training;
  const own: RunKeeper = {
    saveConfig: (changed) => writeConfig(run, changed),
    hasCheckpoint: async () => (await listCheckpoints(run)).length > 0,
    async saveCheckpoint(content, { keep, always }) {
      const onWarning = (message: string) => onEvent({ type: "warning", message });
      const path = await saveCheckpoint(run, { ...content, keep, always, onWarning });
      if (adapter && config.from) {
        await writeAdapter(run, { config: adapter, base: config.from.weights, tensors: content.model });
      }
      return path;
    },
    record: (record) =>
      metrics?.record(record.type === "train" ? { ...record, memory: process.memoryUsage.rss() } : record),
  };
  const { tokenizer, heldOut } = data;
  const tokens = { tokenizer, corpora: corporaOf(config, data), heldOut, trainTokens: tokensOf(data.train) };
  const search = ({ config, ...inputs }: RateSearch) => findRate(run, config, { ...inputs, onEvent, writes: first });
  const keeper = communicator.size > 1 ? keptByFirst(own, communicator) : own;
  const afterStep = async () => {
    if (state.step % compareEvery === 0) await requireSameState(communicator, state, division);
  };
  try {
    return await runTraining({
      ...{ run, config, tokens, state, engine, keeper, loops, built, deviceReason, start },
      ...{ onEvent, signal, search, communicator, shard: division, afterStep },
    });
  } catch (error) {
    // Losses are the same everywhere.
    const agreed = communicator.size > 1 && error instanceof LonghandError && error.code === "diverged";
    throw agreed ? new AgreedError(error) : explainMemory(error, config, communicator.size);
  } finally {
    metrics?.close();
    data.close();
    await engine.close();
    await loops.close();
  }
}
