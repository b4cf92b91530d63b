/** A program as a part of a larger graph. */

import type { OperatorName } from "./ops/index.ts";
import type { Program } from "./program.ts";
import { applyAll, type Tensor } from "./tensor.ts";

/**
 * The outputs of a program by name, with other tensors, of the same types, in place of its inputs of these names. Inputs
 * that are not named remain, and so do constants. Gradients that were written by hand are lost.
 */
export function inlined(
  { nodes, outputs }: Program,
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
      copies.set(tensor, (node.kind === "input" ? replacements[node.name] : undefined) ?? tensor);
    }
  }
  return Object.fromEntries([...outputs].map(([name, tensor]) => [name, copies.get(tensor) as Tensor]));
}
