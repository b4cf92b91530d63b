/** Accuracy against distance from the raw results of the section recall: over all seeds together, and of each. */
import { FARTHEST_RECALL } from "../jobs.ts";
import { recallTaskNames } from "../recall-windows.ts";
import type { TrainResult } from "../results.ts";
import { grouped } from "../statistics.ts";

/** One model, by task and distance. */
export type RecallRow = ReturnType<typeof recallRow>;

export function recallRows(results: readonly TrainResult[], identityOf: (result: TrainResult) => number) {
  const asked = results.filter(({ recall }) => recall !== undefined);
  return grouped(asked, ({ job: { model, ablation } }) => `${model} ${ablation}`).map((all) => {
    const group = grouped(all, ({ seed }) => String(seed)).map(bestRate);
    return recallRow(group, identityOf(group[0]));
  });
}

/** Of trainings from one seed the one with the lowest loss on windows like those of the training. */
function bestRate(all: readonly TrainResult[]): TrainResult {
  const lossOf = ({ final }: TrainResult) => final?.loss ?? Number.POSITIVE_INFINITY;
  return all.reduce((low, each) => (lossOf(each) < lossOf(low) ? each : low));
}

/** `group`: the trainings of one model from several seeds. */
function recallRow(group: readonly TrainResult[], identity: number) {
  const [{ job, lr, parameters }] = group;
  const { model, ablation, context, batch, steps } = job;
  const distances = job.recall?.distances ?? [];
  const points = recallTaskNames.flatMap((task) => distances.map((distance) => pointOf(group, task, distance)));
  const farthest = FARTHEST_RECALL * context;
  const last = Math.max(...distances);
  const missing = group.flatMap(({ recall }) => recall ?? []).find((own) => own.leftOut !== null);
  const tooLong = last < farthest ? { distance: 2 * last, why: "asking takes longer than the training did" } : null;
  return {
    ...{ model, ablation, context, steps, lr, parameters, identity, tokensPerStep: batch * context },
    seeds: group.length,
    points: points.filter(({ asked }) => asked > 0),
    /** The first distance that was left out, as were those beyond it. */
    leftOut: missing ? { distance: missing.distance, why: missing.leftOut } : tooLong,
  };
}

function pointOf(group: readonly TrainResult[], task: (typeof recallTaskNames)[number], distance: number) {
  const own = group
    .flatMap(({ recall }) => recall ?? [])
    .filter((at) => at.distance === distance)
    .flatMap(({ answers }) => answers.filter((each) => each.task === task));
  const asked = own.reduce((sum, each) => sum + each.asked, 0);
  const correct = own.reduce((sum, each) => sum + each.correct, 0);
  const each = own.filter((answers) => answers.asked > 0).map((answers) => answers.correct / answers.asked);
  return {
    ...{ task, distance, asked, correct },
    accuracy: correct / asked,
    /** Of the seeds. */
    lowest: Math.min(...each),
    highest: Math.max(...each),
  };
}
