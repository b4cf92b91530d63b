/**
 * Everything that the report says, computed from the raw results: what report.json holds and the tables, plots and CSV
 * are made of. Times are medians with quartiles over rounds; a ratio is taken round by round, then its median.
 */
import { REFERENCE } from "../architectures.ts";
import { FARTHER } from "../jobs.ts";
import { differences, type Identity } from "../machine.ts";
import type { Manifest } from "../manifest.ts";
import type { FarWindow, PositionSum, Result, SpeedResult, SpeedSideResult, TrainResult } from "../results.ts";
import { grouped, ratios, spread } from "../statistics.ts";
import { recallRows } from "./recall-summary.ts";
import { timeToLoss } from "./time-to-loss.ts";

export type Summary = ReturnType<typeof summarise>;
/** One model at one context. */
export type SpeedRow = ReturnType<typeof speedRows>[number];
/** FLASH at one context beside its shortest, the same tokens a step. */
export type FlatRow = ReturnType<typeof flatRows>[number];
/** One training. */
export type QualityRow = ReturnType<typeof qualityRow>;

/** Rows name the machine and versions they were measured with by its place in `identities`. */
export function summarise(manifest: Manifest, results: readonly Result[]) {
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
    // FLASH and Transformer++ are measured with each group of a context: their first row stands for it.
    speed: grouped(
      contexts.flatMap((result) => speedRows(result, identityOf(result))),
      ({ model, context }) => `${model} ${context}`,
    ).map(([first]) => first),
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
    recall: recallRows(
      trained.filter(({ job }) => job.section === "recall"),
      identityOf,
    ),
    recallFailures: trained
      .filter(({ job, failure }) => job.section === "recall" && failure !== null)
      .map(({ job, failure }) => ({ what: job.id, why: failure })),
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

function speedRows({ job, sides }: SpeedResult, identity: number) {
  const reference = sides.find(({ model, ms }) => model === REFERENCE && ms.length > 0);
  return sides.map((side) => {
    const { model, context, batch, tokens, parameters, recompute, recomputeReason, peakBytes, failure } = side;
    const perToken = microsecondsPerToken(side);
    const microseconds = spreadOf(perToken);
    const comparable = reference !== undefined && reference.ms.length === perToken.length;
    return {
      ...{ job: job.id, model, context, batch, tokens, parameters, recompute, recomputeReason },
      milliseconds: spreadOf(side.ms),
      microsecondsPerToken: microseconds,
      /** Matrix products of forward and backward. */
      megaflopsPerToken: side.flopsPerToken / 1e6,
      /** Of those, a second of the whole step. */
      gigaflopsPerSecond: microseconds && side.flopsPerToken / microseconds.median / 1e3,
      optimizerShare: microseconds && spread(ratios(side.optimizerMs, side.ms)).median,
      peakBytes,
      /** Transformer++'s time over this model's, by rounds: how many times as fast it is. */
      timesAsFast: comparable ? spreadOf(ratios(microsecondsPerToken(reference), perToken)) : null,
      /** Transformer++'s operations over this model's: what the ratio would be if both computed at the same rate. */
      arithmeticRatio: reference === undefined ? null : reference.flopsPerToken / side.flopsPerToken,
      ...{ failure, identity },
    };
  });
}

const microsecondsPerToken = ({ ms, tokens }: SpeedSideResult) => ms.map((time) => (1000 * time) / tokens);

/** Null where nothing was timed. */
const spreadOf = (values: readonly number[]) => (values.length > 0 ? spread(values) : null);

function flatRows({ sides }: SpeedResult, identity: number) {
  const shortest = sides.find(({ ms }) => ms.length > 0);
  return sides.map((side) => {
    const { context, tokens, recompute, failure, ms, peakBytes } = side;
    return {
      ...{ context, tokens, recompute, failure, identity },
      microsecondsPerToken: spreadOf(microsecondsPerToken(side)),
      timeRatio: shortest?.ms.length === ms.length ? spread(ratios(ms, shortest.ms)) : null,
      peakBytes,
      memoryRatio: peakBytes === null || !shortest?.peakBytes ? null : peakBytes / shortest.peakBytes,
    };
  });
}

/** One row a model, objective and context: the run at the learning rate with the lowest final loss. */
function bestRows(results: readonly TrainResult[], identityOf: (result: Result) => number): QualityRow[] {
  const keyOf = ({ job: { model, ablation, objective, context } }: TrainResult) =>
    `${model} ${ablation} ${objective} ${context}`;
  return grouped(results, keyOf).map((group) => {
    const lossOf = ({ final }: TrainResult) => final?.loss ?? Number.POSITIVE_INFINITY;
    const best = group.reduce((low, each) => (lossOf(each) < lossOf(low) ? each : low));
    const rates = group.map((each) => ({ lr: each.lr, loss: each.final?.loss ?? null }));
    return qualityRow(best, rates, identityOf(best));
  });
}

/** `rates` were tried for this model, objective and context. */
function qualityRow(
  result: TrainResult,
  rates: readonly { readonly lr: number; readonly loss: number | null }[],
  identity: number,
) {
  const { job, final, curve, lr, parameters, stepMs, peakBytes, recompute, failure } = result;
  const { id, model, ablation, objective, context, batch, steps } = job;
  return {
    ...{ job: id, model, ablation, objective, context, tokensPerStep: batch * context, steps, lr, rates, parameters },
    loss: final?.loss ?? null,
    perplexity: final && Math.exp(final.loss),
    accuracy: final?.accuracy ?? null,
    evaluatedTokens: final?.tokens ?? null,
    stepMilliseconds: spread(stepMs.length > 2 ? stepMs.slice(2) : stepMs),
    trainingSeconds: stepMs.reduce((sum, ms) => sum + ms, 0) / 1000,
    megaflopsPerToken: result.flopsPerToken / 1e6,
    ...{ peakBytes, recompute, failure },
    curve: curve.map(({ step, seconds, loss }) => ({ step, seconds, perplexity: Math.exp(loss) })),
    byPosition: perplexities(final?.byPosition ?? []),
    beyond: result.beyond && beyondContext(result, result.beyond),
    identity,
  };
}

function perplexities(sums: readonly PositionSum[]) {
  return sums
    .filter(({ tokens }) => tokens > 0)
    .map(({ from, to, nats, tokens }) => ({ from, to, tokens, perplexity: Math.exp(nats / tokens) }));
}

/**
 * The held-out text in windows of the context and longer ones: the perplexity of each window, and by position. The
 * positions that a window adds to the next shorter one are taken from it: so each is read in as much text as can be.
 */
function beyondContext({ job, final }: TrainResult, read: readonly FarWindow[]) {
  const farther = read.filter(({ leftOut }) => leftOut === null);
  const all = [{ window: job.context, byPosition: final?.byPosition ?? [] }, ...farther];
  const wholeWindow = ({ window, byPosition }: (typeof all)[number]) => {
    const [nats, tokens] = (["nats", "tokens"] as const).map((field) =>
      byPosition.reduce((sum, range) => sum + range[field], 0),
    );
    return { window, tokens, perplexity: Math.exp(nats / tokens) };
  };
  return {
    windows: all.map(wholeWindow),
    byPosition: all.flatMap(({ window, byPosition }, i) =>
      perplexities(byPosition.filter(({ from }) => i === 0 || from >= all[i - 1].window)).map((range) => ({
        ...{ window, ...range },
      })),
    ),
    leftOut: FARTHER.map((times) => times * job.context).flatMap((window) => {
      const why = read.find((own) => own.window === window)?.leftOut;
      if (why === null) return [];
      return [{ window, why: why ?? "it would take long beside the training" }];
    }),
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

/** The paper's speed-up: Transformer++'s time to its final perplexity over the time a model needs to reach that. */
function speedUps(rows: readonly QualityRow[], shorter: readonly QualityRow[]) {
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
