/**
 * Products a bᵀ as one node, ONNX Runtime's FusedMatMul, whose kernel transposes b while it packs it: no pass over memory
 * for the transpose, and the same bits (docs/decisions/0034-cheaper-steps.md). What would change bits is left alone: a
 * product with a single row or column, which the kernel sums in another order; and one that the runtime may change itself,
 * because b is computed from constants, or because it makes a Gemm of the product with one matrix and the addition after it.
 */
import type { Program } from "../graph/program.ts";
import { type Node, type OperatorNode, sources, type Tensor } from "../graph/tensor.ts";

export const FUSED_PRODUCT = { name: "FusedMatMul", domain: "com.microsoft", version: 1n } as const;

interface FusedProducts {
  /** b [..., N, K] of each product a bᵀ that becomes one node. */
  readonly operands: ReadonlyMap<Node, Tensor>;
  /** The transposes that nothing but these products reads. */
  readonly unread: ReadonlySet<Node>;
}

export function fusedProducts({ nodes, outputs }: Program): FusedProducts {
  const readers = new Map<Node, OperatorNode[]>();
  for (const node of nodes) {
    if (node.kind !== "operator") continue;
    for (const { node: source } of sources(node)) readers.set(source, [...(readers.get(source) ?? []), node]);
  }
  const read = (node: Node): readonly OperatorNode[] => readers.get(node) ?? [];
  const isAdded = (node: Node): boolean =>
    read(node).some((reader) => reader.name === "Add" || (reader.name === "Reshape" && isAdded(reader)));
  const operands = new Map<Node, Tensor>();
  for (const node of nodes) {
    const b = node.kind === "operator" ? transposedOperand(node) : undefined;
    if (b && (b.rank > 2 || !isAdded(node))) operands.set(node, b);
  }
  const ofProgram = new Set<Node>([...outputs.values()].map(({ node }) => node));
  const onlyFused = (transpose: Node) =>
    !ofProgram.has(transpose) &&
    read(transpose).every((node) => operands.has(node) && node.inputs[0].node !== transpose);
  const transposes = [...operands.keys()].map((product) => sources(product)[1].node);
  return { operands, unread: new Set(transposes.filter(onlyFused)) };
}

function transposedOperand({ name, inputs, outputs: [product] }: OperatorNode): Tensor | undefined {
  const b = name === "MatMul" ? beforeSwap(inputs[1]) : undefined;
  if (b === undefined || beforeSwap(b)) return undefined; // of a tensor transposed twice the runtime undoes both
  const N = product.shape[product.rank - 1];
  const M = b.rank === 2 ? product.size / N : product.shape[product.rank - 2]; // one matrix is multiplied with all rows
  const isGiven = b.rank > 2 || b.node.kind === "input";
  return isGiven && inputs[0].rank >= b.rank && M > 1 && N > 1 ? b : undefined;
}

/** What a tensor was before its last two axes were swapped; undefined if they were not. */
function beforeSwap({ node, rank }: Tensor): Tensor | undefined {
  if (node.kind !== "operator" || node.name !== "Transpose") return undefined;
  const swapped = [...Array(rank - 2).keys(), rank - 1, rank - 2];
  const { perm } = node.attributes as { perm: readonly number[] };
  return perm.every((axis, i) => axis === swapped[i]) ? node.inputs[0] : undefined;
}
