/** What the trainings for quality, and ablations, say: of each model at its best learning rate, over all its seeds. */
import { FARTHER } from "../jobs.ts";
import type { FarWindow, PositionSum, Result, TrainResult } from "../results.ts";
import { deviation, grouped, mean, spread } from "../statistics.ts";

/** One model, objective and context. */
export type QualityRow = ReturnType<typeof qualityRow>;
/** Its training from one seed. */
export type SeedRun = ReturnType<typeof seedRun>;

/**
 * One row a model, ablation, objective and context: the training at the learning rate with the lowest final loss, and
 * those from other seeds at that rate.
 */
export function qualityRows(results: readonly TrainResult[], identityOf: (result: Result) => number): QualityRow[] {
  const keyOf = ({ job: { model, ablation, objective, context } }: TrainResult) =>
    `${model} ${ablation} ${objective} ${context}`;
  return grouped(results, keyOf).flatMap((group) => {
    const grid = group.filter(({ job }) => job.seed === undefined);
    if (grid.length === 0) return []; // the first seed is always trained before the others
    const lossOf = ({ final }: TrainResult) => final?.loss ?? Number.POSITIVE_INFINITY;
    const best = grid.reduce((low, each) => (lossOf(each) < lossOf(low) ? each : low));
    const again = group.filter(({ job }) => job.seed !== undefined);
    const rates = grid.map((each) => ({ lr: each.lr, loss: each.final?.loss ?? null }));
    return [qualityRow([best, ...again], rates, identityOf(best))];
  });
}

/** `group`: one training a seed. `rates` were tried for this model, objective and context. */
function qualityRow(
  group: readonly [TrainResult, ...TrainResult[]],
  rates: readonly { readonly lr: number; readonly loss: number | null }[],
  identity: number,
) {
  const [result] = group;
  const { job, final, lr, parameters, peakBytes, recompute } = result;
  const { id, model, ablation, objective, context, batch, steps } = job;
  const runs = group.map(seedRun);
  const finals = group.flatMap((each) => each.final ?? []);
  const whole = finals.length === group.length;
  const perplexities = finals.map(({ loss }) => Math.exp(loss));
  return {
    ...{ job: id, model, ablation, objective, context, tokensPerStep: batch * context, steps, lr, rates, parameters },
    runs,
    /** Means over the seeds; null where one failed. */
    loss: whole ? mean(finals.map(({ loss }) => loss)) : null,
    perplexity: whole ? mean(perplexities) : null,
    /** Standard deviation over the seeds; null of one. */
    deviation: whole ? deviation(perplexities) : null,
    accuracy: whole ? meanOrNull(finals.map(({ accuracy }) => accuracy)) : null,
    evaluatedTokens: final?.tokens ?? null,
    stepMilliseconds: spread(group.flatMap(({ stepMs }) => (stepMs.length > 2 ? stepMs.slice(2) : stepMs))),
    trainingSeconds: mean(runs.map(({ trainingSeconds }) => trainingSeconds)),
    megaflopsPerToken: result.flopsPerToken / 1e6,
    ...{ peakBytes, recompute, failure: group.find(({ failure }) => failure !== null)?.failure ?? null },
    curve: meanCurve(runs),
    byPosition: perplexitiesOf(pooled(finals.map(({ byPosition }) => byPosition))),
    /** Of the first seed. */
    beyond: result.beyond && beyondContext(result, result.beyond),
    identity,
  };
}

/** Null where there is none, as of causal models. */
function meanOrNull(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : mean(known);
}

export function seedRun({ seed, final, stepMs, curve }: TrainResult) {
  return {
    seed,
    perplexity: final && Math.exp(final.loss),
    trainingSeconds: stepMs.reduce((sum, ms) => sum + ms, 0) / 1000,
    curve: curve.map(({ step, seconds, loss }) => ({ step, seconds, perplexity: Math.exp(loss) })),
  };
}

/** At the steps that every seed has reached. */
function meanCurve([first, ...others]: readonly SeedRun[]) {
  return first.curve.flatMap((point) => {
    const rest = others.map(({ curve }) => curve.find(({ step }) => step === point.step));
    const points = [point, ...rest.filter((each) => each !== undefined)];
    if (points.length <= others.length) return [];
    const perplexities = points.map(({ perplexity }) => perplexity);
    return [
      {
        ...{ step: point.step, seconds: mean(points.map(({ seconds }) => seconds)), perplexity: mean(perplexities) },
        ...{ lowest: Math.min(...perplexities), highest: Math.max(...perplexities) },
      },
    ];
  });
}

/** The same ranges of positions of several trainings as one. */
function pooled(all: readonly (readonly PositionSum[])[]): PositionSum[] {
  return grouped(all.flat(), ({ from, to }) => `${from} ${to}`).map((ranges) => ({
    ...ranges[0],
    nats: ranges.reduce((sum, { nats }) => sum + nats, 0),
    tokens: ranges.reduce((sum, { tokens }) => sum + tokens, 0),
  }));
}

function perplexitiesOf(sums: readonly PositionSum[]) {
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
  // Older results have the final evaluation alone in windows of the context, over more of the text.
  const own = farther.some(({ window }) => window === job.context);
  const all = own ? farther : [{ window: job.context, byPosition: final?.byPosition ?? [] }, ...farther];
  const wholeWindow = ({ window, byPosition }: (typeof all)[number]) => {
    const [nats, tokens] = (["nats", "tokens"] as const).map((field) =>
      byPosition.reduce((sum, range) => sum + range[field], 0),
    );
    return { window, tokens, perplexity: Math.exp(nats / tokens) };
  };
  return {
    windows: all.map(wholeWindow),
    byPosition: all.flatMap(({ window, byPosition }, i) =>
      perplexitiesOf(byPosition.filter(({ from }) => i === 0 || from >= all[i - 1].window)).map((range) => ({
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
