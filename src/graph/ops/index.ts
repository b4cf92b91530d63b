/** The closed table of operators: each is a standard ONNX operator (opset 20), and graphs hold no others. */
import type { AnyOperator, NoAttributes } from "../operator.ts";
import { elementwise } from "./elementwise.ts";
import { indexing } from "./indexing.ts";
import { layout } from "./layout.ts";
import { matmul } from "./matmul.ts";
import { reductions } from "./reduce.ts";

const table = { ...elementwise, ...reductions, ...matmul, ...layout, ...indexing };

export type OperatorName = keyof typeof table;

/** The attributes of an operator, by name. */
export type AttributesOf<N extends OperatorName> =
  Parameters<(typeof table)[N]["infer"]> extends [unknown, infer A] ? A : NoAttributes;

/** By the name of a node. */
export const operators = table as unknown as Readonly<Record<string, AnyOperator>>;

export const operatorNames = Object.keys(table) as readonly OperatorName[];
