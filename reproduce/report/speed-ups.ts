/**
 * The paper's speed-up: Transformer++'s time to its final perplexity over the time that a model needs to reach that, of
 * trainings from one seed; over all seeds that both have.
 */
import { REFERENCE } from "../architectures.ts";
import type { TrainResult } from "../results.ts";
import { mean } from "../statistics.ts";
import { type QualityRow, type SeedRun, seedRun } from "./quality-summary.ts";
import { timeToLoss } from "./time-to-loss.ts";

/** `shorter`: trainings of the same models with shorter schedules. */
export function speedUps(rows: readonly QualityRow[], shorter: readonly TrainResult[]) {
  return rows.flatMap((row) => {
    const { model, objective, context } = row;
    const reference = rows.find(
      (other) => other.model === REFERENCE && other.objective === objective && other.context === context,
    );
    if (reference === undefined || model === REFERENCE) return [];
    const more = shorter.filter(
      ({ job }) => job.model === model && job.objective === objective && job.context === context,
    );
    const attemptsOf = (run: SeedRun) => [
      { steps: row.steps, curve: run.curve },
      ...more
        .filter(({ seed }) => seed === run.seed)
        .map((own) => ({ steps: own.job.steps, curve: seedRun(own).curve })),
    ];
    const each = row.runs.flatMap((run) => {
      const last = reference.runs.find(({ seed }) => seed === run.seed)?.curve.at(-1);
      return last === undefined || run.curve.length === 0 ? [] : [ofOneSeed(last, attemptsOf(run))];
    });
    if (each.length === 0) return [];
    const reached = each.every(({ seconds }) => seconds !== null);
    const over = (field: "seconds" | "steps" | "speedUp") => each.flatMap((own) => own[field] ?? []);
    const speedUp = over("speedUp");
    return [
      {
        ...{ model, objective, context, seeds: each.length },
        // Means over the seeds; of what is reached, null where one of them did not.
        targetPerplexity: mean(each.map(({ target }) => target)),
        referenceSeconds: mean(each.map((own) => own.referenceSeconds)),
        ofSteps: each[0].ofSteps,
        seconds: reached ? mean(over("seconds")) : null,
        steps: reached ? mean(over("steps")) : null,
        speedUp: reached ? mean(speedUp) : null,
        lowest: reached ? Math.min(...speedUp) : null,
        highest: reached ? Math.max(...speedUp) : null,
      },
    ];
  });
}

interface Attempt {
  readonly steps: number;
  readonly curve: SeedRun["curve"];
}

/** The soonest of the attempts. */
function ofOneSeed(last: SeedRun["curve"][number], attempts: readonly Attempt[]) {
  const all = attempts.map(({ steps, curve }) => {
    const losses = curve.map((point) => ({ ...point, loss: Math.log(point.perplexity) }));
    return { steps, reached: timeToLoss(losses, Math.log(last.perplexity)) };
  });
  const secondsOf = ({ reached }: (typeof all)[number]) => reached?.seconds ?? Number.POSITIVE_INFINITY;
  const { steps: ofSteps, reached } = all.reduce((best, each) => (secondsOf(each) < secondsOf(best) ? each : best));
  return {
    ...{ target: last.perplexity, referenceSeconds: last.seconds, ofSteps },
    ...{ seconds: reached?.seconds ?? null, steps: reached?.step ?? null },
    speedUp: reached === undefined ? null : last.seconds / reached.seconds,
  };
}
