/**
 * The tokens of a batch that a masked model predicts. The loss needs their logits alone, about a seventh of all. Their
 * places are listed, as many as masking can select from a batch of this size, so that the program's shapes stay fixed.
 */
import { LonghandError } from "../base/errors.ts";

interface PredictedInputs {
  /** [N] */
  readonly targets: Int32Array;
  /** [N]: not 0 at the tokens to predict. */
  readonly weights: Float32Array;
}

interface Predicted {
  /** What the program is given, [M] each. Places ascend; after the predicted tokens all three are 0. */
  readonly inputs: { readonly places: Int32Array; readonly targets: Int32Array; readonly weights: Float32Array };
  /** Tokens to predict: at most M. */
  readonly count: number;
}

/** Places, targets and weights of at most `most` tokens (M). Throws "usage" when more have a weight. */
export function predictedIn({ targets, weights }: PredictedInputs, most: number): Predicted {
  const inputs = { places: new Int32Array(most), targets: new Int32Array(most), weights: new Float32Array(most) };
  let count = 0;
  for (let at = 0; at < weights.length; at++) {
    if (weights[at] === 0) continue;
    if (count < most) {
      inputs.places[count] = at;
      inputs.targets[count] = targets[at];
      inputs.weights[count] = weights[at];
    }
    count++;
  }
  if (count > most) {
    throw new LonghandError(
      "usage",
      `weights: expected at most ${most} of ${weights.length} tokens to have one, as masking selects, got ${count}; take a weighted step`,
    );
  }
  return { inputs, count };
}
