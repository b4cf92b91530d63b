/**
 * RoPE as one node, ONNX Runtime's RotaryEmbedding, instead of eight: on a graphics card each costs a launch. Found by its
 * form, as nn/positions.ts writes it: concat(a cos - b sin, b cos + a sin) of the halves a and b of x, or with the signs of
 * its gradient; for angles that are constants. (Documents have angles of their own, which stay as they are.)
 */
import type { Program } from "../graph/program.ts";
import { type Node, type OperatorNode, sources, type Tensor } from "../graph/tensor.ts";
import type { Replacement } from "./replacement.ts";

const DOMAIN = "com.microsoft";
/** Positions count from here: every window begins at the first row of the table. */
const FIRST_POSITION = { int64: [0] } as const;

interface Rotation {
  /** [B, T, w], or [B, H, T, w], or [B, T, H, w] with `besides`. */
  readonly x: Tensor;
  /** [T, w / 2] */
  readonly cos: Tensor;
  readonly sin: Tensor;
  /** Whether angles have an axis of heads, [T, 1, w / 2]. */
  readonly besides: boolean;
  readonly isBack: boolean;
}

/** By the last node of each rotation. */
export function rotations({ nodes }: Program): Map<Node, Replacement> {
  const readers = new Map<Node, OperatorNode[]>();
  for (const node of nodes) {
    if (node.kind !== "operator") continue;
    for (const { node: source } of sources(node)) readers.set(source, [...(readers.get(source) ?? []), node]);
  }
  const found = new Map<Node, Replacement>();
  for (const node of nodes) {
    const rotation = node.kind === "operator" ? rotationOf(node) : undefined;
    if (rotation === undefined) continue;
    const { x, besides } = rotation;
    if (!besides) {
      if (x.rank === 3 || x.rank === 4) found.set(node, replacement(x, rotation));
      continue;
    }
    // Heads side by side are a view of [B, T, H w], which is what the operator reads and writes.
    const flat = view(x);
    const after = readers.get(node) ?? [];
    const isView = flat?.rank === 3 && after.length === 1 && after[0].name === "Reshape";
    if (flat && isView && `${after[0].outputs[0].shape}` === `${flat.shape}`)
      found.set(after[0], replacement(flat, rotation));
  }
  return found;
}

function replacement(x: Tensor, { cos, sin, isBack }: Rotation): Replacement {
  const inputs = [x, FIRST_POSITION, cos, isBack ? { negative: sin } : sin];
  return { name: "RotaryEmbedding", domain: DOMAIN, inputs, attributes: {} };
}

function rotationOf(node: OperatorNode): Rotation | undefined {
  if (node.name !== "Concat" || node.inputs.length !== 2) return undefined;
  const [first, second] = node.inputs.map(combination);
  if (!first || !second || first.isSum === second.isSum) return undefined;
  const [[a, cos], [b, sin]] = first.products;
  const [[b2, cos2], [a2, sin2]] = second.products;
  const [split] = [a.node];
  const isHalves = split.kind === "operator" && split.name === "Split" && split.outputs.length === 2;
  if (!isHalves || split.outputs[0] !== a || split.outputs[1] !== b) return undefined;
  if (a2 !== a || b2 !== b || cos2 !== cos || sin2 !== sin || a.shape[a.rank - 1] !== b.shape[b.rank - 1])
    return undefined;
  const last = a.rank - 1;
  if (split.attributes.axis !== last || node.attributes.axis !== last) return undefined;
  const tables = [cos, sin].map(tableOf);
  const [[cosTable, besides], [sinTable]] = tables.map((table) => table ?? ([undefined, false] as const));
  if (!cosTable || !sinTable) return undefined;
  return { x: split.inputs[0], cos: cosTable, sin: sinTable, besides, isBack: first.isSum };
}

interface Combination {
  readonly products: readonly (readonly [Tensor, Tensor])[];
  readonly isSum: boolean;
}

/** x y + z w, or x y - z w. */
function combination({ node }: Tensor): Combination | undefined {
  if (node.kind !== "operator" || (node.name !== "Add" && node.name !== "Sub")) return undefined;
  const products = node.inputs.flatMap(({ node: from }) =>
    from.kind === "operator" && from.name === "Mul" ? [[from.inputs[0], from.inputs[1]] as const] : [],
  );
  return products.length === 2 ? { products, isSum: node.name === "Add" } : undefined;
}

/** The constant [T, w / 2], and whether it is seen with an axis of heads. */
function tableOf(t: Tensor): readonly [Tensor, boolean] | undefined {
  if (t.node.kind === "constant" && t.rank === 2) return [t, false];
  const table = view(t);
  const isTable = table?.node.kind === "constant" && table.rank === 2 && t.rank === 3 && t.shape[1] === 1;
  return table && isTable ? [table, true] : undefined;
}

/** What a tensor is another shape of. */
function view({ node }: Tensor): Tensor | undefined {
  return node.kind === "operator" && node.name === "Reshape" ? node.inputs[0] : undefined;
}
