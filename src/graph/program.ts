/**
 * A program: named inputs, named outputs, and the nodes between them in an order in which they can run. `verify` infers
 * every type again and compares; `print` writes a program as stable text for people and snapshots.
 */
import { LonghandError } from "../base/errors.ts";
import { sameShape } from "../base/shape.ts";
import { showType } from "./operator.ts";
import { inferTypes, type Node, sources, type Tensor } from "./tensor.ts";

export interface Program {
  readonly name: string;
  /** Every input of the graph, in order of first use, by name. */
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** Sources first; constants and inputs included. */
  readonly nodes: readonly Node[];
}

/** Collects the nodes that `outputs` depend on. Throws when two inputs have the same name. */
export function program(name: string, outputs: Readonly<Record<string, Tensor>>): Program {
  const nodes = sourcesFirst(Object.values(outputs), sources);
  const inputs = new Map<string, Tensor>();
  for (const node of nodes) {
    if (node.kind !== "input") continue;
    if (inputs.has(node.name)) throw new LonghandError("graph", `program ${name}: two inputs are named ${node.name}`);
    inputs.set(node.name, node.outputs[0]);
  }
  return { name, inputs, outputs: new Map(Object.entries(outputs)), nodes };
}

/** The nodes that `outputs` depend on by `sourcesOf`, each after its sources, without what only `leaves` need. */
export function sourcesFirst(
  outputs: readonly Tensor[],
  sourcesOf: (node: Node) => readonly Tensor[],
  leaves: ReadonlySet<Tensor> = new Set(),
): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const stack: { node: Node; next: number }[] = [];
  const enter = (tensor: Tensor) => {
    if (seen.has(tensor.node) || leaves.has(tensor)) return;
    seen.add(tensor.node);
    stack.push({ node: tensor.node, next: 0 });
  };
  for (const output of outputs) {
    enter(output);
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      const from = sourcesOf(top.node);
      if (top.next < from.length) enter(from[top.next++]);
      else {
        order.push(top.node);
        stack.pop();
      }
    }
  }
  return order;
}

/** Checks the types of every node against its rule, and that sources come first; throws at the first contradiction. */
export function verify({ name, nodes, outputs }: Program): void {
  const defined = new Set<Tensor>();
  for (const node of nodes) {
    for (const source of sources(node)) {
      if (!defined.has(source))
        throw new LonghandError("graph", `program ${name}: ${source} is used before it is computed`);
    }
    if (node.kind === "operator") {
      const types = inferTypes(node.name, node.inputs, node.attributes);
      const agree =
        types.length === node.outputs.length &&
        types.every((t, i) => t.dtype === node.outputs[i].dtype && sameShape(t.shape, node.outputs[i].shape));
      if (!agree) {
        throw new LonghandError(
          "graph",
          `program ${name}: ${node.name} says ${node.outputs.map(showType)}, its rule says ${types.map(showType)}`,
        );
      }
    }
    for (const output of node.outputs) defined.add(output);
  }
  for (const [key, output] of outputs) {
    if (!defined.has(output)) throw new LonghandError("graph", `program ${name}: output ${key} is not computed`);
  }
}

/** One line per node: `%3: float32[2, 4] = MatMul(%1, x)`. */
export function print({ nodes, outputs }: Program): string {
  const names = new Map<Tensor, string>();
  const lines: string[] = [];
  let counter = 0;
  for (const node of nodes) {
    if (node.kind === "input") {
      names.set(node.outputs[0], node.name);
      lines.push(`${node.name}: ${showType(node.outputs[0])}`);
    } else if (node.kind === "constant") {
      const [tensor] = node.outputs;
      names.set(tensor, tensor.rank === 0 ? String(node.data[0]) : `%${counter++}`);
      if (tensor.rank > 0) lines.push(`${names.get(tensor)}: ${showType(tensor)} = constant`);
    } else {
      for (const output of node.outputs) names.set(output, `%${counter++}`);
      const left = node.outputs.map((t) => `${names.get(t)}: ${showType(t)}`).join(", ");
      const attributes = Object.entries(node.attributes).map(([k, v]) => `, ${k}=${JSON.stringify(v)}`);
      lines.push(`${left} = ${node.name}(${node.inputs.map((t) => names.get(t)).join(", ")}${attributes.join("")})`);
    }
  }
  for (const [key, output] of outputs) lines.push(`return ${key} = ${names.get(output)}`);
  return lines.join("\n");
}
