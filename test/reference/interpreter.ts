/**
 * The definition of every operator of the graph, by plain loops in float64 (ONNX opset 20 semantics). Slow on purpose
 * and for tests only: engines are compared with it, and gradients with central differences through it.
 */

import { type Shape, sameShape, sizeOf } from "../../src/base/shape.ts";
import { type Attributes, showType } from "../../src/graph/operator.ts";
import type { OperatorName } from "../../src/graph/ops/index.ts";
import type { Program } from "../../src/graph/program.ts";
import type { Node, Tensor } from "../../src/graph/tensor.ts";
import { elementwise } from "./elementwise.ts";
import { indexing } from "./indexing.ts";
import { layout } from "./layout.ts";
import { reductions } from "./reduce.ts";
import type { Definition, Definitions, Value } from "./value.ts";

export const definitions: Definitions = { ...elementwise, ...reductions, ...layout, ...indexing };

/** A result: float64 whatever the element type; booleans are 0 and 1. */
export interface Result {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/**
 * Runs a program. Inputs are given by name, row-major. Throws when one is missing, unknown or of another length, and when
 * the graph's type of a node is not the one that the definition finds.
 */
export function interpret(
  program: Program,
  inputs: Readonly<Record<string, ArrayLike<number>>>,
): Record<string, Result> {
  for (const name of Object.keys(inputs)) {
    if (!program.inputs.has(name)) throw new Error(`input ${name}: unknown`);
  }
  const values = new Map<Tensor, Value>();
  const remaining = countUses(program);
  for (const node of program.nodes) {
    for (const [i, value] of evaluate(node, values, inputs).entries()) {
      const tensor = node.outputs[i];
      if (value.dtype !== tensor.dtype || !sameShape(value.shape, tensor.shape)) {
        throw new Error(`${tensor}: the interpreter finds ${showType(value)}`);
      }
      values.set(tensor, value);
    }
    if (node.kind !== "operator") continue;
    for (const source of node.inputs) {
      const left = (remaining.get(source) ?? 0) - 1;
      remaining.set(source, left);
      if (left === 0) values.delete(source);
    }
  }
  const results: Record<string, Result> = {};
  for (const [name, tensor] of program.outputs) {
    const { shape, data } = read(values, tensor);
    results[name] = { shape, data };
  }
  return results;
}

function evaluate(
  node: Node,
  values: ReadonlyMap<Tensor, Value>,
  inputs: Readonly<Record<string, ArrayLike<number>>>,
): readonly Value[] {
  if (node.kind === "operator") {
    const define = definitions[node.name as OperatorName] as unknown as Definition<Attributes>;
    return define(
      node.inputs.map((tensor) => read(values, tensor)),
      node.attributes,
    );
  }
  const [{ dtype, shape }] = node.outputs;
  if (node.kind === "constant") return [{ dtype, shape, data: new Float64Array(node.data) }];
  const given = inputs[node.name];
  if (given === undefined) throw new Error(`input ${node.name}: missing`);
  if (given.length !== sizeOf(shape)) {
    throw new Error(`input ${node.name}: expected ${sizeOf(shape)} elements, got ${given.length}`);
  }
  return [{ dtype, shape, data: new Float64Array(given) }];
}

function read(values: ReadonlyMap<Tensor, Value>, tensor: Tensor): Value {
  const value = values.get(tensor);
  if (value === undefined) throw new Error(`${tensor} is used before it is computed`);
  return value;
}

/** How often each tensor is read; outputs once more, so that they stay. */
function countUses({ nodes, outputs }: Program): Map<Tensor, number> {
  const uses = new Map<Tensor, number>();
  const count = (tensor: Tensor) => uses.set(tensor, (uses.get(tensor) ?? 0) + 1);
  for (const node of nodes) if (node.kind === "operator") node.inputs.forEach(count);
  for (const tensor of outputs.values()) count(tensor);
  return uses;
}
