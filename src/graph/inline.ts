/** A program as a part of a larger graph. */
import { LonghandError } from "../base/errors.ts";
import { sameShape } from "../base/shape.ts";
import { showType } from "./operator.ts";
import type { OperatorName } from "./ops/index.ts";
import type { Program } from "./program.ts";
import { applyAll, type Tensor } from "./tensor.ts";

/**
 * The outputs of a program by name, with other tensors in place of its inputs of these names. Inputs that are not named
 * remain, and so do constants. Gradients that were written by hand are lost. Throws "graph" for a tensor of another type.
 */
export function inlined(
  { name, nodes, outputs }: Program,
  replacements: Readonly<Record<string, Tensor>>,
): Record<string, Tensor> {
  const copies = new Map<Tensor, Tensor>();
  for (const node of nodes) {
    if (node.kind === "operator") {
      const inputs = node.inputs.map((t) => copies.get(t) as Tensor);
      const results = applyAll(node.name as OperatorName, inputs, node.attributes as never);
      for (const [i, output] of node.outputs.entries()) copies.set(output, results[i]);
    } else {
      const [tensor] = node.outputs;
      const given = node.kind === "input" ? (replacements[node.name] ?? tensor) : tensor;
      if (node.kind === "input" && (given.dtype !== tensor.dtype || !sameShape(given.shape, tensor.shape))) {
        const input = `program ${name}, input ${node.name}`;
        throw new LonghandError("graph", `${input}: expected ${showType(tensor)}, got ${showType(given)}`);
      }
      copies.set(tensor, given);
    }
  }
  return Object.fromEntries([...outputs].map(([name, tensor]) => [name, copies.get(tensor) as Tensor]));
}
