/**
 * Activation checkpointing, or rematerialisation (Chen, Xu, Zhang, Guestrin 2016, "Training Deep Nets with Sublinear
 * Memory Cost"): the activations inside a part of the graph are not kept for the backward pass but computed again
 * there, from the inputs of the part, when the gradient of its result arrives. Parts may be nested.
 *
 * The runtime must neither merge the second computation with the first nor run it during the forward pass. Neither is
 * possible, because it starts from copies of the inputs that depend on the gradient (docs/decisions/0013).
 */
import { dependencies, gradients } from "./gradients.ts";
import { applyAll, type Tensor, withGradients } from "./tensor.ts";

/** none: all activations are kept; layers: those inside each layer are recomputed in the backward pass. */
export const recomputeNames = ["none", "layers"] as const;
export type Recompute = (typeof recomputeNames)[number];

interface RecomputedPart {
  /** Where gradients flow to. Anything else that `build` uses must be a parameter or need no gradient. */
  readonly inputs: readonly Tensor[];
  /** Called once for the forward pass and once for each backward pass; must build the same each time. */
  build(inputs: readonly Tensor[]): Tensor;
}

/** `build(inputs)`, with activations that are recomputed in the backward pass. */
export function recomputed(inputs: readonly Tensor[], build: RecomputedPart["build"]): Tensor {
  return recomputedInOrder([{ inputs, build }])[0];
}

/**
 * The results of several parts. In the backward pass each part starts when the gradients of the part before it are
 * finished, so that the activations of only one part exist at a time.
 */
export function recomputedInOrder(parts: readonly RecomputedPart[]): readonly Tensor[] {
  const results = parts.map(({ inputs, build }) => {
    const result = build(inputs);
    return { leaves: [...inputs, ...graphInputs(result, inputs)], output: renamed(result) };
  });
  const targets = [...new Set(results.flatMap(({ leaves }) => leaves))];
  return withGradients(
    results.map(({ output }) => output),
    targets,
    (arriving) => {
      const sums = new Map<Tensor, Tensor>();
      let finished: readonly Tensor[] = arriving;
      for (const [i, { inputs, build }] of parts.entries()) {
        const copies = copiesAfter(finished, inputs);
        const { leaves } = results[i];
        const ofPart = gradients(build(copies), [...copies, ...leaves.slice(inputs.length)], arriving[i]);
        for (const [k, leaf] of leaves.entries()) sums.set(leaf, sums.get(leaf)?.add(ofPart[k]) ?? ofPart[k]);
        finished = ofPart.slice(0, inputs.length);
      }
      return targets.map((target) => sums.get(target));
    },
  );
}

/** Equal copies of `values` that can only be computed after `events`. */
function copiesAfter(events: readonly Tensor[], values: readonly Tensor[]): Tensor[] {
  const never = neverAfter(events);
  return values.map((value) => never.where(value, value));
}

/** False, as bool [1], but only computed after `events`: no number is less than itself, and neither is NaN. */
export function neverAfter(events: readonly Tensor[]): Tensor {
  const first = events.map((event) => event.reshape([event.size]).slice(0, 0, 1));
  const sample = first.reduce((sum, t) => sum.add(t));
  return sample.less(sample);
}

/** The same values as the fresh output of an operator. */
function renamed(t: Tensor): Tensor {
  return applyAll("Reshape", [t], { shape: t.shape })[0];
}

/** The float inputs of the program, parameters among them, that gradients of `y` reach without passing `boundary`. */
function graphInputs(y: Tensor, boundary: readonly Tensor[]): Tensor[] {
  const reached: Tensor[] = [];
  const seen = new Set<Tensor>([...boundary, y]);
  const stack = [y];
  for (let t = stack.pop(); t !== undefined; t = stack.pop()) {
    if (t.node.kind === "input" && t.dtype === "float32") reached.push(t);
    for (const source of dependencies(t.node)) {
      if (seen.has(source)) continue;
      seen.add(source);
      stack.push(source);
    }
  }
  return reached;
}
