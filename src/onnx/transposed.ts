/**
 * Products a bᵀ as one node, ONNX Runtime's FusedMatMul, whose kernel transposes b while it packs it: no pass over memory
 * for the transpose, and the same bits (docs/decisions/0034-cheaper-steps.md). Only between batches of matrices, since a
 * product with one matrix can become a Gemm with the addition after it, and only where neither side of the product is a
 * single row or column, since those are summed in another order.
 */
import type { Program } from "../graph/program.ts";
import { type Node, type OperatorNode, sources, type Tensor } from "../graph/tensor.ts";

export const FUSED_PRODUCT = { name: "FusedMatMul", domain: "com.microsoft", version: 1n } as const;

/** b [..., N, K] of a product a bᵀ that is fused; undefined for every other node. */
export function transposedOperand(node: OperatorNode): Tensor | undefined {
  if (node.name !== "MatMul") return undefined;
  const [a, right] = node.inputs;
  const [M, N] = node.outputs[0].shape.slice(-2);
  const b = beforeSwap(right);
  if (b === undefined || beforeSwap(b) || a.rank < 3 || b.rank < 3 || M === 1 || N === 1) return undefined;
  return b; // of a tensor transposed twice the runtime undoes both
}

/** What a tensor was before its last two axes were swapped; undefined if they were not. */
function beforeSwap({ node, rank }: Tensor): Tensor | undefined {
  if (node.kind !== "operator" || node.name !== "Transpose") return undefined;
  const swapped = [...Array(rank - 2).keys(), rank - 1, rank - 2];
  return (node.attributes.perm as readonly number[]).every((axis, i) => axis === swapped[i])
    ? node.inputs[0]
    : undefined;
}

/** The transposes that nothing but such products reads. */
export function unreadTransposes({ nodes, outputs }: Program): ReadonlySet<Node> {
  const read = new Set<Node>([...outputs.values()].map(({ node }) => node));
  const fused = new Set<Node>();
  for (const node of nodes) {
    const isFused = node.kind === "operator" && transposedOperand(node) !== undefined;
    for (const [i, source] of sources(node).entries()) (isFused && i === 1 ? fused : read).add(source.node);
  }
  return new Set([...fused].filter((node) => !read.has(node)));
}
