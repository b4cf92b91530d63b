/**
 * Products with transposed matrices as one node, Gemm, which reads them as they are: aᵀ b, a bᵀ, and x bᵀ of the rows of a
 * larger x. For devices where a transpose costs a launch; on a CPU a transpose of its own is faster (decision 0003), and
 * transposed.ts fuses what is worth it.
 */
import type { Program } from "../graph/program.ts";
import type { Node, Tensor } from "../graph/tensor.ts";
import type { Replacement } from "./replacement.ts";

export function transposedGemms({ nodes }: Program): Map<Node, Replacement> {
  const found = new Map<Node, Replacement>();
  for (const node of nodes) {
    if (node.kind !== "operator" || node.name !== "MatMul") continue;
    const [a, b] = node.inputs;
    if (b.rank !== 2) continue;
    const [left, right] = [a, b].map((t) => (t.rank === 2 ? beforeTranspose(t) : undefined));
    if (!left && !right) continue;
    const attributes = { ...(left && { transA: 1 }), ...(right && { transB: 1 }) };
    found.set(node, { name: "Gemm", inputs: [left ?? a, right ?? b], attributes, ofRows: a.rank > 2 });
  }
  return found;
}

function beforeTranspose({ node }: Tensor): Tensor | undefined {
  return node.kind === "operator" && node.name === "Transpose" ? node.inputs[0] : undefined;
}
