/** Whether a model has begun to learn its text by heart: its loss on held-out text has passed its lowest. */

interface HeldOut {
  readonly step: number;
  /** Nats a token. */
  readonly loss: number;
}

/** What the lowest loss must be below the last by, in nats: more than evaluations of one model differ by chance. */
const MARGIN = 0.02;

/** A sentence for those who wait for a good model, from the evaluations of a finished training; undefined: all is well. */
export function learntByHeart(evaluations: readonly HeldOut[]): string | undefined {
  const last = evaluations.at(-1);
  if (last === undefined) return undefined;
  const best = evaluations.reduce((low, each) => (each.loss < low.loss ? each : low));
  if (last.loss - best.loss < MARGIN) return undefined;
  const [before, now] = [best, last].map(({ loss }) => Math.exp(loss).toFixed(1));
  return (
    `the held-out perplexity was lowest at step ${best.step} (${before}) and is ${now} now: the model has begun to learn ` +
    `its text by heart; more text, about ${best.step} steps or a stronger weight decay would make a better one`
  );
}
