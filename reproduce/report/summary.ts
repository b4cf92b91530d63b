/**
 * Everything that the report says, computed from the raw results: what report.json holds and the tables, plots and CSV are
 * made of. Times are medians with quartiles over rounds; a ratio is taken round by round, then its median.
 */
import { REFERENCE } from "../architectures.ts";
import { differences, type Identity } from "../machine.ts";
import type { Manifest } from "../manifest.ts";
import type { Result, SpeedResult, SpeedSideResult, TrainResult } from "../results.ts";
import { ratios, type Spread, spread } from "../statistics.ts";
import { timeToLoss } from "./time-to-loss.ts";

/** One model at one context. */
export interface SpeedRow {
  readonly job: string;
  readonly model: string;
  readonly context: number;
  readonly batch: number;
  readonly tokens: number;
  readonly parameters: number | null;
  readonly recompute: string;
  readonly recomputeReason: string | null;
  readonly milliseconds: Spread | null;
  readonly microsecondsPerToken: Spread | null;
  /** Matrix products of forward and backward. */
  readonly megaflopsPerToken: number;
  /** Of those, a second of the whole step. */
  readonly gigaflopsPerSecond: number | null;
  readonly optimizerShare: number | null;
  readonly peakBytes: number | null;
  /** Transformer++'s time over this model's, by rounds: how many times as fast it is. */
  readonly timesAsFast: Spread | null;
  /** Transformer++'s operations over this model's: what the ratio would be if both computed at the same rate. */
  readonly arithmeticRatio: number | null;
  readonly failure: string | null;
  readonly identity: number;
}

/** FLASH at one context beside its shortest, the same tokens a step. */
export interface FlatRow {
  readonly context: number;
  readonly tokens: number;
  readonly microsecondsPerToken: Spread | null;
  readonly timeRatio: Spread | null;
  readonly peakBytes: number | null;
  readonly memoryRatio: number | null;
  readonly recompute: string;
  readonly failure: string | null;
  readonly identity: number;
}

export interface QualityRow {
  readonly job: string;
  readonly model: string;
  readonly ablation: string | null;
  readonly objective: string;
  readonly context: number;
  readonly tokensPerStep: number;
  readonly steps: number;
  readonly lr: number;
  /** Rates that were tried for this model, objective and context. */
  readonly rates: readonly { readonly lr: number; readonly loss: number | null }[];
  readonly parameters: number;
  readonly loss: number | null;
  readonly perplexity: number | null;
  readonly accuracy: number | null;
  readonly evaluatedTokens: number | null;
  /** Median of a step, in milliseconds. */
  readonly stepMilliseconds: Spread;
  readonly trainingSeconds: number;
  readonly megaflopsPerToken: number;
  readonly peakBytes: number | null;
  readonly recompute: string;
  readonly failure: string | null;
  readonly curve: readonly { readonly step: number; readonly seconds: number; readonly perplexity: number }[];
  readonly byPosition: readonly {
    readonly from: number;
    readonly to: number;
    readonly perplexity: number;
    readonly tokens: number;
  }[];
  readonly identity: number;
}

/** The paper's speed-up: Transformer++'s time to its final perplexity over the time a model needs to reach that. */
export interface SpeedUp {
  readonly model: string;
  readonly objective: string;
  readonly context: number;
  readonly targetPerplexity: number;
  readonly referenceSeconds: number;
  /** Of the training that reached it first: its schedule's length. */
  readonly ofSteps: number;
  /** Null where the perplexity was not reached. */
  readonly seconds: number | null;
  readonly steps: number | null;
  readonly speedUp: number | null;
}

export interface Summary {
  readonly created: string;
  readonly finishedJobs: number;
  readonly jobs: number;
  readonly settings: Manifest["settings"];
  /** Machines and versions; rows name one by its place in this list. */
  readonly identities: readonly Identity[];
  readonly speed: readonly SpeedRow[];
  readonly flat: readonly FlatRow[];
  readonly idleShare: number | null;
  readonly quality: readonly QualityRow[];
  readonly speedUps: readonly SpeedUp[];
  readonly ablations: readonly QualityRow[];
  readonly leftOut: Manifest["plan"]["leftOut"];
  readonly measuredSeconds: number;
}

export function summarise(manifest: Manifest, results: readonly Result[]): Summary {
  const identities: Identity[] = [];
  const identityOf = ({ identity }: Result): number => {
    const known = identities.findIndex((each) => differences(each, identity).length === 0);
    return known >= 0 ? known : identities.push(identity) - 1;
  };
  for (const result of results) identityOf(result); // machines are numbered in the order of the results
  const speedResults = results.filter((result): result is SpeedResult => result.job.kind === "speed");
  const trained = results.filter((result): result is TrainResult => result.job.kind === "train");
  const contexts = speedResults.filter(({ job }) => job.series === "contexts");
  const [whole, shorter] = byLength(trained.filter(({ job }) => job.section === "quality"));
  const quality = bestRows(whole, identityOf);
  return {
    created: manifest.created,
    finishedJobs: results.length,
    jobs: manifest.plan.jobs.length,
    settings: withoutFolders(manifest.settings),
    identities,
    speed: withoutRepetition(contexts.flatMap((result) => speedRows(result, identityOf(result)))),
    flat: speedResults
      .filter(({ job }) => job.series === "flat")
      .flatMap((result) => flatRows(result, identityOf(result))),
    idleShare: speedResults.reduce<number | null>(
      (most, { idleShare }) => (idleShare === null ? most : Math.max(most ?? 0, idleShare)),
      null,
    ),
    quality,
    speedUps: speedUps(
      quality,
      shorter.map((result) => qualityRow(result, [], identityOf(result))),
    ),
    ablations: bestRows(
      trained.filter(({ job }) => job.section === "ablations"),
      identityOf,
    ),
    leftOut: manifest.plan.leftOut,
    measuredSeconds: results.reduce((sum, { seconds }) => sum + seconds, 0),
  };
}

/** A report is passed on: it has the names of files, not where they lie. */
function withoutFolders(settings: Manifest["settings"]): Manifest["settings"] {
  const nameOf = (path: string) => path.split(/[\\/]/).findLast((part) => part !== "") ?? path;
  return {
    ...settings,
    data: settings.data?.map(nameOf),
    modules: settings.modules?.map(nameOf),
    out: nameOf(settings.out),
  };
}

function speedRows({ job, sides }: SpeedResult, identity: number): SpeedRow[] {
  const reference = sides.find(({ model, ms }) => model === REFERENCE && ms.length > 0);
  return sides.map((side) => {
    const timed = side.ms.length > 0;
    const perToken = side.ms.map((ms) => (1000 * ms) / side.tokens);
    const ofReference = reference?.ms.map((ms) => (1000 * ms) / reference.tokens);
    const comparable = timed && ofReference !== undefined && ofReference.length === perToken.length;
    return {
      ...{ job: job.id, model: side.model, context: side.context, batch: side.batch, tokens: side.tokens },
      ...{ parameters: side.parameters, recompute: side.recompute, recomputeReason: side.recomputeReason },
      milliseconds: timed ? spread(side.ms) : null,
      microsecondsPerToken: timed ? spread(perToken) : null,
      megaflopsPerToken: side.flopsPerToken / 1e6,
      gigaflopsPerSecond: timed ? side.flopsPerToken / spread(perToken).median / 1e3 : null,
      optimizerShare: timed ? spread(ratios(side.optimizerMs, side.ms)).median : null,
      peakBytes: side.peakBytes,
      timesAsFast: comparable ? spread(ratios(ofReference, perToken)) : null,
      arithmeticRatio: reference === undefined ? null : reference.flopsPerToken / side.flopsPerToken,
      failure: side.failure,
      identity,
    };
  });
}

/** FLASH and Transformer++ are measured with each group of a context: their first row stands for it. */
function withoutRepetition(rows: readonly SpeedRow[]): SpeedRow[] {
  const first = new Map<string, SpeedRow>();
  for (const row of rows) {
    const key = `${row.model} ${row.context}`;
    if (!first.has(key)) first.set(key, row);
  }
  return [...first.values()];
}

function flatRows({ sides }: SpeedResult, identity: number): FlatRow[] {
  const timed = sides.filter(({ ms }) => ms.length > 0);
  const shortest: SpeedSideResult | undefined = timed[0];
  return sides.map((side) => {
    const perToken = side.ms.map((ms) => (1000 * ms) / side.tokens);
    const comparable = shortest !== undefined && shortest.ms.length === side.ms.length;
    return {
      ...{ context: side.context, tokens: side.tokens, recompute: side.recompute, failure: side.failure, identity },
      microsecondsPerToken: side.ms.length > 0 ? spread(perToken) : null,
      timeRatio: comparable ? spread(ratios(side.ms, shortest.ms)) : null,
      peakBytes: side.peakBytes,
      memoryRatio: side.peakBytes === null || !shortest?.peakBytes ? null : side.peakBytes / shortest.peakBytes,
    };
  });
}

/** One row a model, objective and context: the run at the learning rate with the lowest final loss. */
function bestRows(results: readonly TrainResult[], identityOf: (result: Result) => number): QualityRow[] {
  const groups = new Map<string, TrainResult[]>();
  for (const result of results) {
    const { model, ablation, objective, context } = result.job;
    const key = `${model} ${ablation} ${objective} ${context}`;
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  return [...groups.values()].map((group) => {
    const lossOf = ({ final }: TrainResult) => final?.loss ?? Number.POSITIVE_INFINITY;
    const best = group.reduce((low, each) => (lossOf(each) < lossOf(low) ? each : low));
    const rates = group.map((each) => ({ lr: each.lr, loss: each.final?.loss ?? null }));
    return qualityRow(best, rates, identityOf(best));
  });
}

function qualityRow(result: TrainResult, rates: QualityRow["rates"], identity: number): QualityRow {
  const { job, final, curve } = result;
  return {
    ...{ job: job.id, model: job.model, ablation: job.ablation, objective: job.objective, context: job.context },
    ...{
      tokensPerStep: job.batch * job.context,
      steps: job.steps,
      lr: result.lr,
      rates,
      parameters: result.parameters,
    },
    loss: final?.loss ?? null,
    perplexity: final === null ? null : Math.exp(final.loss),
    accuracy: final?.accuracy ?? null,
    evaluatedTokens: final?.tokens ?? null,
    stepMilliseconds: spread(result.stepMs.length > 2 ? result.stepMs.slice(2) : result.stepMs),
    trainingSeconds: result.stepMs.reduce((sum, ms) => sum + ms, 0) / 1000,
    megaflopsPerToken: result.flopsPerToken / 1e6,
    ...{ peakBytes: result.peakBytes, recompute: result.recompute, failure: result.failure },
    curve: curve.map(({ step, seconds, loss }) => ({ step, seconds, perplexity: Math.exp(loss) })),
    byPosition: (final?.byPosition ?? [])
      .filter(({ tokens }) => tokens > 0)
      .map(({ from, to, nats, tokens }) => ({ from, to, tokens, perplexity: Math.exp(nats / tokens) })),
    identity,
  };
}

/** Trainings of all steps, and those of the same model, objective and context with a shorter schedule. */
function byLength(results: readonly TrainResult[]): [whole: TrainResult[], shorter: TrainResult[]] {
  const isShorter = ({ job }: TrainResult) =>
    results.some(
      ({ job: { model, objective, context, steps } }) =>
        model === job.model && objective === job.objective && context === job.context && steps > job.steps,
    );
  return [results.filter((result) => !isShorter(result)), results.filter(isShorter)];
}

function speedUps(rows: readonly QualityRow[], shorter: readonly QualityRow[]): SpeedUp[] {
  const alike = (one: QualityRow, other: QualityRow) =>
    one.objective === other.objective && one.context === other.context;
  return rows.flatMap((row) => {
    const reference = rows.find((other) => other.model === REFERENCE && alike(other, row));
    const last = reference?.curve.at(-1);
    if (last === undefined || row.model === REFERENCE || row.curve.length === 0) return [];
    const attempts = [row, ...shorter.filter((other) => other.model === row.model && alike(other, row))].map((each) => {
      const losses = each.curve.map((point) => ({ ...point, loss: Math.log(point.perplexity) }));
      return { steps: each.steps, reached: timeToLoss(losses, Math.log(last.perplexity)) };
    });
    const seconds = (attempt: (typeof attempts)[number]) => attempt.reached?.seconds ?? Number.POSITIVE_INFINITY;
    const { steps: ofSteps, reached } = attempts.reduce((best, each) => (seconds(each) < seconds(best) ? each : best));
    return {
      ...{ model: row.model, objective: row.objective, context: row.context },
      targetPerplexity: last.perplexity,
      referenceSeconds: last.seconds,
      ofSteps,
      seconds: reached?.seconds ?? null,
      steps: reached?.step ?? null,
      speedUp: reached === undefined ? null : last.seconds / reached.seconds,
    };
  });
}
