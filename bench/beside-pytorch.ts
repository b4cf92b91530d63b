/**
 * Training steps of Longhand in turn with the same steps in PyTorch, as a user runs it and with huge pages: from the
 * same parameters, on the same batches, to the same first losses. Ratios are taken round by round, then the median.
 */
import { interleave, type MeasuredProcess, type StepReply, withProcesses } from "../reproduce/process.ts";
import { ratios, type Spread, spread } from "../reproduce/statistics.ts";
import { longhandWorker } from "./longhand.ts";
import { type PytorchReady, pytorchHandicap, pytorchWorker } from "./pytorch.ts";
import { type Setup, writeSetup } from "./setup.ts";

/** One opponent's speed and memory. */
export interface PytorchSide {
  readonly tokensPerSecond: Spread;
  readonly optimizerShare: Spread;
  readonly peakBytes: number;
  /** Longhand's speed over this one's. */
  readonly ratio: Spread;
  /** Longhand's peak memory over this one's. */
  readonly memoryRatio: number;
}

export interface PytorchReport extends PytorchReady {
  readonly asUserRunsIt: PytorchSide;
  readonly hugePages: PytorchSide;
  /** Largest relative difference of the first losses from Longhand's. */
  readonly lossDifference: number;
}

export interface BesidePytorch {
  /** Longhand's steps, one a round. */
  readonly own: readonly StepReply[];
  /** Longhand's, after warm-up. */
  readonly peakBytes: number;
  readonly pytorch: PytorchReport | null;
  /** Why `pytorch` is null. */
  readonly pytorchReason: string | null;
  /** Largest share of one core that the waiting processes used during a step. */
  readonly idleShare: number | null;
}

export interface BesideOptions {
  /** For notes and errors. */
  readonly name: string;
  readonly setup: Setup;
  readonly rounds: number;
  readonly warmup: number;
  /** Why PyTorch is left out; null where it is measured. */
  readonly pytorchReason: string | null;
  readonly note: (text: string) => void;
  /** Measured in Longhand's process beside the steps: once to warm up, then after every round. */
  readonly alongside?: ((longhand: MeasuredProcess) => Promise<void>) | undefined;
}

export async function measureBesidePytorch(options: BesideOptions): Promise<BesidePytorch> {
  const { name, setup, rounds, warmup, note, alongside = async () => {} } = options;
  const file = writeSetup(setup);
  const others = options.pytorchReason === null ? [false, true] : [];
  const started = [
    longhandWorker("Longhand", file.path),
    ...others.map((hugePages) => pytorchWorker(file.path, { hugePages })),
  ];
  try {
    return await withProcesses(started, async ([longhand, ...opponents]) => {
      await longhand.ready();
      const [ready] = await Promise.all(opponents.map((each) => each.ready<PytorchReady>()));
      const pytorchReason = options.pytorchReason ?? pytorchHandicap(ready) ?? null;
      const measured = pytorchReason === null ? [longhand, ...opponents] : [longhand];
      note(`${name}: ${measured.map((each) => each.name).join(", ")}; ${warmup} steps of warm-up`);
      const lossDifference = checkLosses(name, (await interleave(measured, warmup)).replies);
      const peaks: number[] = [];
      for (const each of measured) peaks.push(await each.peakBytes());
      await alongside(longhand);
      const { replies, idleShare } = await interleave(measured, rounds, async (round) => {
        await alongside(longhand);
        note(`${name}: round ${round + 1} of ${rounds}`);
      });
      const [own] = replies;
      const side = (i: number): PytorchSide => ({
        tokensPerSecond: speed(replies[i], setup),
        optimizerShare: optimizerShare(replies[i]),
        peakBytes: peaks[i],
        ratio: spread(ratios(times(replies[i]), times(own))),
        memoryRatio: peaks[0] / peaks[i],
      });
      const sides = () => ({ ...ready, asUserRunsIt: side(1), hugePages: side(2), lossDifference });
      return { own, peakBytes: peaks[0], pytorch: measured.length > 1 ? sides() : null, pytorchReason, idleShare };
    });
  } finally {
    file.remove();
  }
}

export const times = (replies: readonly StepReply[]) => replies.map(({ milliseconds }) => milliseconds);

export const speed = (replies: readonly StepReply[], { batch, context }: Setup): Spread =>
  spread(times(replies).map((milliseconds) => (1000 * batch * context) / milliseconds));

export const optimizerShare = (replies: readonly StepReply[]): Spread =>
  spread(replies.map(({ phases, milliseconds }) => phases.optimizer / milliseconds));

const LOSS_TOLERANCE = 1e-4;

/**
 * The largest relative difference of the first losses; throws above 1e-4, where it is not the same model that is
 * trained.
 */
function checkLosses(name: string, [own, ...others]: readonly (readonly StepReply[])[]): number {
  const differences = others.flatMap((replies) =>
    replies.map(({ loss }, step) => Math.abs(loss - own[step].loss) / Math.abs(own[step].loss)),
  );
  const largest = Math.max(0, ...differences);
  if (!(largest <= LOSS_TOLERANCE)) {
    const shown = [own, ...others].map((replies) => replies.map(({ loss }) => loss.toFixed(6)).join(" "));
    throw new Error(
      `${name}: the first losses of Longhand and PyTorch differ by ${largest}, allowed is ${LOSS_TOLERANCE} (${shown.join("; ")})`,
    );
  }
  return largest;
}
