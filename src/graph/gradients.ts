/**
 * Reverse-mode differentiation: extends the graph by the gradients of one scalar. The walk adds up gradients and undoes
 * broadcasting; it knows no operator by name, and it is a loop, since graphs are thousands of nodes deep.
 */
import { LonghandError } from "../base/errors.ts";
import { broadcastAxes, sameShape, showShape, sizeOf } from "../base/shape.ts";
import { showType } from "./operator.ts";
import { operators } from "./ops/index.ts";
import { sourcesFirst } from "./program.ts";
import { type CustomGradient, type Node, type OperatorNode, sources, type Tensor } from "./tensor.ts";

/**
 * d(sum of y * cotangent) / d(each of `wrt`), in the shape of each. Without a cotangent `y` must have one element. A
 * tensor of `wrt` is a leaf: no gradient flows through it to what it was computed from. Throws when a path leads
 * through an operator without gradient.
 */
export function gradients(y: Tensor, wrt: readonly Tensor[], cotangent?: Tensor): Tensor[] {
  if (cotangent === undefined && y.size !== 1) {
    throw new LonghandError("graph", `gradients: expected a scalar or a cotangent, got ${showType(y)}`);
  }
  if (cotangent && !sameShape(cotangent.shape, y.shape)) {
    throw new LonghandError(
      "graph",
      `gradients: the cotangent is ${showShape(cotangent.shape)}, expected ${showShape(y.shape)}`,
    );
  }
  const leaves = new Set(wrt);
  const order = sourcesFirst([y], dependencies, leaves);
  const relevant = leadsTo(order, leaves);
  const sums = new Map<Tensor, Tensor>();
  const accumulate = (target: Tensor, gradient: Tensor) => {
    const summand = unbroadcast(gradient, target);
    sums.set(target, sums.get(target)?.add(summand) ?? summand);
  };
  accumulate(y, cotangent ?? y.constant(1).expand(y.shape));

  const waiting = countOutputs(order);
  for (let i = order.length - 1; i >= 0; i--) {
    const node = order[i];
    if (node.kind !== "operator" || !relevant.has(node)) continue;
    const custom = node.customGradient;
    if (custom !== undefined) {
      // A custom VJP of several outputs waits until the gradients of all of them are complete.
      const missing = (waiting.get(custom) ?? 1) - 1;
      waiting.set(custom, missing);
      if (missing > 0) continue;
    }
    const outputs = custom?.outputs ?? node.outputs;
    const arriving = outputs.map((output) => (leaves.has(output) ? undefined : sums.get(output)));
    if (arriving.every((g) => g === undefined)) continue;
    const filled = outputs.map((output, k) => arriving[k] ?? output.zeros(output.shape));
    const targets = dependencies(node);
    const wanted = targets.map((target) => leaves.has(target) || relevant.has(target.node));
    const flowing = backward(node, filled, wanted);
    for (const [k, target] of targets.entries()) {
      const gradient = flowing[k];
      if (gradient !== undefined && wanted[k]) accumulate(target, gradient);
    }
    for (const output of outputs) if (!leaves.has(output)) sums.delete(output); // no longer needed
  }
  return wrt.map((tensor) => sums.get(tensor) ?? tensor.zeros(tensor.shape));
}

function backward(
  node: OperatorNode,
  gradientsOfOutputs: readonly Tensor[],
  wanted: readonly boolean[],
): readonly (Tensor | undefined)[] {
  if (node.customGradient) return node.customGradient.rule(gradientsOfOutputs, wanted);
  const rule = operators[node.name].gradient;
  if (typeof rule !== "function") {
    const shown = node.inputs.map(showType).join(", ");
    throw new LonghandError("graph", `${node.name}(${shown}) has no gradient: ${rule.none}`);
  }
  return rule({
    inputs: node.inputs,
    outputs: node.outputs,
    attributes: node.attributes,
    gradients: gradientsOfOutputs,
  });
}

/** How many nodes of the walk have their output in each custom VJP. */
function countOutputs(order: readonly Node[]): Map<CustomGradient, number> {
  const counts = new Map<CustomGradient, number>();
  for (const node of order) {
    const custom = node.kind === "operator" ? node.customGradient : undefined;
    if (custom !== undefined) counts.set(custom, (counts.get(custom) ?? 0) + 1);
  }
  return counts;
}

/** The tensors that a node's gradient flows to: the inputs of a custom VJP, else those of the operator. */
export function dependencies(node: Node): readonly Tensor[] {
  return node.kind === "operator" && node.customGradient ? node.customGradient.inputs : sources(node);
}

/** Sums a gradient over the axes along which its tensor was repeated. */
function unbroadcast(gradient: Tensor, target: Tensor): Tensor {
  if (sameShape(gradient.shape, target.shape)) return gradient;
  if (sizeOf(gradient.shape) === sizeOf(target.shape)) return gradient.reshape(target.shape);
  return gradient.sum(broadcastAxes(target.shape, gradient.shape)).reshape(target.shape);
}

/** The nodes of `order` from which a leaf can be reached. */
function leadsTo(order: readonly Node[], leaves: ReadonlySet<Tensor>): Set<Node> {
  const relevant = new Set<Node>();
  for (const node of order) {
    if (dependencies(node).some((t) => leaves.has(t) || relevant.has(t.node))) relevant.add(node);
  }
  return relevant;
}
