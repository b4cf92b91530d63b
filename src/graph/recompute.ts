/**
 * Recomputation of activations (Chen, Xu, Zhang, Guestrin 2016, "Training Deep Nets with Sublinear Memory Cost"): a
 * piece of graph whose inside is not kept for the backward pass but computed again there, from its inputs, when the
 * gradient of its result arrives. It may hold further such pieces.
 *
 * The second computation must neither be merged with the first by the runtime nor run beside it during the forward
 * pass. Both are prevented by the data: it starts from copies of the inputs that depend on the gradient
 * (docs/decisions/0013).
 */
import { dependencies, gradients } from "./gradients.ts";
import { applyAll, type Tensor, withGradients } from "./tensor.ts";

/** none: all activations are kept; layers: those inside a layer are computed again in the backward pass. */
export const recomputeNames = ["none", "layers"] as const;
export type Recompute = (typeof recomputeNames)[number];

interface RecomputedPart {
  /** What the gradient flows to; anything else that `build` uses must be parameters or need no gradient. */
  readonly inputs: readonly Tensor[];
  /** Called once for the forward and once for every backward pass; must compute the same each time. */
  build(inputs: readonly Tensor[]): Tensor;
}

/** `build(inputs)`, whose inside is computed again in the backward pass. */
export function recomputed(inputs: readonly Tensor[], build: RecomputedPart["build"]): Tensor {
  return recomputedInOrder([{ inputs, build }])[0];
}

/**
 * The results of several parts. In the backward pass each part begins when the gradients of the one before it are
 * finished, so that the inside of one part exists at a time.
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
        const own = gradients(build(copies), [...copies, ...leaves.slice(inputs.length)], arriving[i]);
        for (const [k, leaf] of leaves.entries()) sums.set(leaf, sums.get(leaf)?.add(own[k]) ?? own[k]);
        finished = own.slice(0, inputs.length);
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

/** False, as bool [1], known only after `events` are computed: a number is not less than itself, nor is NaN. */
export function neverAfter(events: readonly Tensor[]): Tensor {
  const first = events.map((event) => event.reshape([event.size]).slice(0, 0, 1));
  const sample = first.reduce((sum, t) => sum.add(t));
  return sample.less(sample);
}

/** The same values as the fresh output of an operator. */
function renamed(t: Tensor): Tensor {
  return applyAll("Reshape", [t], { shape: t.shape })[0];
}

/**
 * The float inputs of the graph, parameters among them, that gradients of `y` reach without passing through `given`.
 */
function graphInputs(y: Tensor, given: readonly Tensor[]): Tensor[] {
  const found: Tensor[] = [];
  const seen = new Set<Tensor>([...given, y]);
  const stack = [y];
  for (let t = stack.pop(); t !== undefined; t = stack.pop()) {
    if (t.node.kind === "input" && t.dtype === "float32") found.push(t);
    for (const source of dependencies(t.node)) {
      if (seen.has(source)) continue;
      seen.add(source);
      stack.push(source);
    }
  }
  return found;
}
