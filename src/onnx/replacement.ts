/** A node of ONNX that is written instead of one or several nodes of a program, and what the program still needs then. */
import type { Attributes, OnnxOperand } from "../graph/operator.ts";
import type { Program } from "../graph/program.ts";
import { type Node, sources, type Tensor } from "../graph/tensor.ts";

/** The negative of a constant, computed once however often it is read. */
export interface Negative {
  readonly negative: Tensor;
}

/** Computes the single output of the node that it replaces. */
export interface Replacement {
  readonly name: string;
  readonly domain?: string;
  readonly inputs: readonly (Tensor | OnnxOperand | Negative)[];
  readonly attributes: Attributes;
  /** The first input is brought into rows [N, width] first, and the result back: for operators that know matrices alone. */
  readonly ofRows?: boolean;
}

export type Replacements = ReadonlyMap<Node, Replacement>;

/** The nodes that the outputs need when some of them are replaced. */
export function neededNodes({ nodes, outputs }: Program, replacements: Replacements): Set<Node> {
  const needed = new Set<Node>([...outputs.values()].map(({ node }) => node));
  for (const node of [...nodes].reverse()) {
    if (!needed.has(node)) continue;
    for (const source of sourcesOf(node, replacements)) needed.add(source.node);
  }
  return needed;
}

function sourcesOf(node: Node, replacements: Replacements): readonly Tensor[] {
  const inputs = replacements.get(node)?.inputs;
  if (inputs === undefined) return sources(node);
  return inputs.flatMap((input) => ("node" in input ? [input] : "negative" in input ? [input.negative] : []));
}
