/**
 * Everything that the report says, computed from the raw results: what report.json holds and the tables, plots and CSV
 * are made of. Times are medians with quartiles over rounds; a ratio is taken round by round, then its median.
 */
import { REFERENCE } from "../architectures.ts";
import { differences, type Identity } from "../machine.ts";
import type { Manifest } from "../manifest.ts";
import type { Result, SpeedResult, SpeedSideResult, TrainResult } from "../results.ts";
import { grouped, ratios, spread } from "../statistics.ts";
import { qualityRows } from "./quality-summary.ts";
import { recallRows } from "./recall-summary.ts";
import { speedUps } from "./speed-ups.ts";

export type Summary = ReturnType<typeof summarise>;
/** One model at one context. */
export type SpeedRow = ReturnType<typeof speedRows>[number];
/** FLASH at one context beside its shortest, the same tokens a step. */
export type FlatRow = ReturnType<typeof flatRows>[number];
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
  const quality = qualityRows(whole, identityOf);
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
    speedUps: speedUps(quality, shorter),
    ablations: qualityRows(
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

/** Trainings of all steps, and those of the same model, objective and context with a shorter schedule. */
function byLength(results: readonly TrainResult[]): [whole: TrainResult[], shorter: TrainResult[]] {
  const isShorter = ({ job }: TrainResult) =>
    results.some(
      ({ job: { model, objective, context, steps } }) =>
        model === job.model && objective === job.objective && context === job.context && steps > job.steps,
    );
  return [results.filter((result) => !isShorter(result)), results.filter(isShorter)];
}
