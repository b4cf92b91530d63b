/** Whether two implementations train the same model: the losses of the first steps agree. */
import type { StepReply } from "../reproduce/process.ts";

const LOSS_TOLERANCE = 1e-4;

/**
 * The opponents must compute what Longhand computes: same parameters and batches, same losses over the first steps.
 * Returns the largest relative difference; throws above 1e-4.
 */
export function checkLosses(section: string, [own, ...others]: readonly (readonly StepReply[])[]): number {
  const differences = others.flatMap((replies) =>
    replies.map(({ loss }, step) => Math.abs(loss - own[step].loss) / Math.abs(own[step].loss)),
  );
  const largest = Math.max(0, ...differences);
  if (!(largest <= LOSS_TOLERANCE)) {
    const shown = [own, ...others].map((replies) => replies.map(({ loss }) => loss.toFixed(6)).join(" "));
    throw new Error(
      `${section}: the first losses of Longhand and PyTorch differ by ${largest}, allowed is ${LOSS_TOLERANCE} (${shown.join("; ")})`,
    );
  }
  return largest;
}
