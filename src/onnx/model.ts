/**
 * Writes a program as an ONNX model, a standard one unless products are fused. Every operator keeps its name. Small constants become initialisers, large
 * ones inputs that the compiled function supplies, so that a model takes kilobytes however long its context.
 */
import type { DType, HostArray } from "../base/dtype.ts";
import { bytesPerElement } from "../base/dtype.ts";
import type { OnnxOperand } from "../graph/operator.ts";
import { operators } from "../graph/ops/index.ts";
import { type Program, verify } from "../graph/program.ts";
import type { OperatorNode, Tensor } from "../graph/tensor.ts";
import { transposedGemms } from "./gemm.ts";
import { narrowJoins } from "./narrow.ts";
import { neededNodes, type Replacement } from "./replacement.ts";
import { rotations } from "./rotary.ts";
import { encodeModel, type Proto } from "./schema.ts";
import { FUSED_PRODUCT, fusedProducts } from "./transposed.ts";

const OPSET = 20n;
const IR_VERSION = 9n;
/** TensorProto.DataType */
const DATA_TYPE: Record<DType, number> = { float32: 1, int32: 6, bool: 9 };
const INT64 = 7;
/** AttributeProto.AttributeType */
const ATTRIBUTE = { int: 2, string: 3, ints: 7 };
/** Larger constants become inputs. */
export const LARGEST_INITIALISER_BYTES = 16384;

interface OnnxModel {
  readonly bytes: Uint8Array;
  /** Large constants, to be given under these names at every run. */
  readonly constants: ReadonlyMap<string, Tensor>;
}

interface OnnxOptions {
  /** Concat and Split of more parts are written as trees; default: no limit. */
  readonly mostParts?: number | undefined;
  /** Products with transposed right operands become one node of ONNX Runtime's own (transposed.ts). Default: false. */
  readonly fuseTransposes?: boolean;
  /** Rotations and products with transposed matrices become one node each (rotary.ts, gemm.ts). Default: false. */
  readonly fewNodes?: boolean;
  /** Inputs that become initialisers. Default: none. */
  readonly fixed?: Readonly<Record<string, HostArray>>;
}

/** The ONNX model of a program. Inputs and outputs keep the program's names. */
export function toOnnx(program: Program, options: OnnxOptions = {}): OnnxModel {
  const { nodes, initializers, inputs, outputs, constants } = graphParts(program, options);
  const bytes = encodeModel({
    ir_version: IR_VERSION,
    producer_name: "longhand",
    opset_import: [
      { domain: "", version: OPSET },
      ...(options.fuseTransposes || options.fewNodes
        ? [{ domain: FUSED_PRODUCT.domain, version: FUSED_PRODUCT.version }]
        : []),
    ],
    graph: {
      name: program.name,
      ...{ node: nodes, initializer: [...initializers.values()], input: inputs, output: outputs },
    },
  });
  return { bytes, constants };
}

interface PartsOptions extends OnnxOptions {
  /** Larger constants become inputs. */
  readonly largestInitialiser?: number;
  /** Of the names of nodes, of tensors between them and of constants. */
  readonly prefix?: string;
}

interface GraphParts {
  readonly nodes: Proto<"NodeProto">[];
  readonly initializers: Map<string, Proto<"TensorProto">>;
  readonly inputs: Proto<"ValueInfoProto">[];
  readonly outputs: Proto<"ValueInfoProto">[];
  /** Constants that became inputs. */
  readonly constants: Map<string, Tensor>;
}

/** What a GraphProto is made of. */
export function graphParts(program: Program, options: PartsOptions): GraphParts {
  const { mostParts = Number.POSITIVE_INFINITY, fuseTransposes = false, fewNodes = false, prefix = "" } = options;
  const { largestInitialiser = LARGEST_INITIALISER_BYTES, fixed = {} } = options;
  verify(program);
  const fused = fuseTransposes ? fusedProducts(program) : undefined;
  const replacements = new Map(fewNodes ? [...transposedGemms(program), ...rotations(program)] : []);
  const needed = neededNodes(program, replacements);
  const names = new Map<Tensor, string>();
  const nodes: Proto<"NodeProto">[] = [];
  const initializers = new Map<string, Proto<"TensorProto">>();
  const inputs: Proto<"ValueInfoProto">[] = [];
  const constants = new Map<string, Tensor>();
  const ownName = outputNames(program);
  const negatives = new Set<Tensor>();

  for (const [i, node] of program.nodes.entries()) {
    if (fewNodes && node.kind !== "input" && !needed.has(node)) continue;
    if (node.kind === "input") {
      const [tensor] = node.outputs;
      const { name } = node;
      names.set(tensor, name);
      if (!Object.hasOwn(fixed, name)) inputs.push(valueInfo(name, tensor));
      else initializers.set(name, initializer(name, tensor.shape, DATA_TYPE[tensor.dtype], bytesOf(fixed[name])));
    } else if (node.kind === "constant") {
      const [tensor] = node.outputs;
      const name = `${prefix}constant_${i}`;
      names.set(tensor, name);
      if (tensor.size * bytesPerElement[tensor.dtype] <= largestInitialiser) {
        initializers.set(name, initializer(name, tensor.shape, DATA_TYPE[tensor.dtype], bytesOf(node.data)));
      } else {
        constants.set(name, tensor);
        inputs.push(valueInfo(name, tensor));
      }
    } else {
      for (const [k, output] of node.outputs.entries()) {
        names.set(output, ownName.get(output) ?? `${prefix}t${i}${node.outputs.length === 1 ? "" : `_${k}`}`);
      }
      const wide = Math.max(node.inputs.length, node.outputs.length) > mostParts;
      if (fused?.unread.has(node)) continue;
      const transposed = fused?.operands.get(node);
      const replacement = replacements.get(node);
      if (replacement) {
        for (const input of replacement.inputs) if ("negative" in input) negatives.add(input.negative);
        nodes.push(...replacementProtos(node, replacement, i, names, initializers));
      } else if (transposed) nodes.push(fusedProduct(node, transposed, i, names));
      else if (wide) nodes.push(...narrowProtos(node, i, names, initializers, mostParts));
      else nodes.push(nodeProto(node, i, names, initializers));
    }
  }
  // First of all: they are negatives of constants.
  for (const tensor of negatives) {
    const input = names.get(tensor) as string;
    const output = negativeName(input);
    nodes.unshift({ name: output, op_type: "Neg", input: [input], output: [output], attribute: [] });
  }
  const outputs: Proto<"ValueInfoProto">[] = [];
  for (const [name, tensor] of program.outputs) {
    // An input, a constant, or the same tensor as another output: Identity gives it its own name.
    const input = names.get(tensor) as string;
    if (input !== name) nodes.push({ name, op_type: "Identity", input: [input], output: [name], attribute: [] });
    outputs.push(valueInfo(name, tensor));
  }
  return { nodes, initializers, inputs, outputs, constants };
}

/**
 * The tensors that operators compute and that are outputs, each with its first name. They take it themselves instead of
 * through an Identity, since the order in which the runtime computes begins with the outputs (docs/decisions/0011).
 */
function outputNames({ outputs }: Program): Map<Tensor, string> {
  const names = new Map<Tensor, string>();
  for (const [name, tensor] of outputs) {
    if (tensor.node.kind === "operator" && !names.has(tensor)) names.set(tensor, name);
  }
  return names;
}

function nodeProto(
  node: OperatorNode,
  index: number,
  names: ReadonlyMap<Tensor, string>,
  initializers: Map<string, Proto<"TensorProto">>,
): Proto<"NodeProto"> {
  const form = operators[node.name].onnx?.(node.attributes, node.inputs) ?? {};
  const operandNames = (form.operands ?? []).map((operand) => (operand ? int64Initializer(operand, initializers) : ""));
  return {
    name: `${node.name}_${index}`,
    op_type: node.name,
    input: [...node.inputs.map((t) => names.get(t) as string), ...operandNames],
    output: node.outputs.map((t) => names.get(t) as string),
    attribute: Object.entries(form.attributes ?? {}).map(([name, value]) => attribute(name, value)),
  };
}

/** a bᵀ, from a and b themselves. */
function fusedProduct(
  { inputs: [a], outputs: [product] }: OperatorNode,
  b: Tensor,
  index: number,
  names: ReadonlyMap<Tensor, string>,
): Proto<"NodeProto"> {
  return {
    name: `MatMul_${index}`,
    op_type: FUSED_PRODUCT.name,
    domain: FUSED_PRODUCT.domain,
    input: [a, b].map((t) => names.get(t) as string),
    output: [names.get(product) as string],
    attribute: [attribute("transB", 1)],
  };
}

/** The node of a replacement; before it what its inputs need, after it the shape of the tensor that it stands for. */
function replacementProtos(
  { outputs: [output] }: OperatorNode,
  { name: type, domain, inputs, attributes, ofRows }: Replacement,
  index: number,
  names: ReadonlyMap<Tensor, string>,
  initializers: Map<string, Proto<"TensorProto">>,
): Proto<"NodeProto">[] {
  const name = `${type}_${index}`;
  const nameOf = (input: Replacement["inputs"][number]): string => {
    if ("int64" in input) return int64Initializer(input, initializers);
    return "node" in input ? (names.get(input) as string) : negativeName(names.get(input.negative) as string);
  };
  const [first, ...others] = inputs.map(nameOf);
  const result = names.get(output) as string;
  const node = {
    ...{ name, op_type: type, ...(domain && { domain }) },
    input: [ofRows ? `${name}_rows` : first, ...others],
    output: [ofRows ? `${name}_result` : result],
    attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
  };
  if (!ofRows) return [node];
  const [K] = (inputs[0] as Tensor).shape.slice(-1);
  const reshape = (from: string, to: string, shape: readonly number[]) => ({
    ...{ name: to, op_type: "Reshape", input: [from, int64Initializer({ int64: shape }, initializers)], output: [to] },
    attribute: [],
  });
  return [reshape(first, `${name}_rows`, [-1, K]), node, reshape(`${name}_result`, result, output.shape)];
}

const negativeName = (name: string) => `minus_${name}`;

/** The nodes of a Concat or Split with more parts than a device allows. */
function narrowProtos(
  node: OperatorNode,
  index: number,
  names: ReadonlyMap<Tensor, string>,
  initializers: Map<string, Proto<"TensorProto">>,
  most: number,
): Proto<"NodeProto">[] {
  const { parts: partsSide } = operators[node.name].traits ?? {};
  if (partsSide === undefined) return [nodeProto(node, index, names, initializers)];
  const joins = partsSide === "inputs";
  const axis = node.attributes.axis as number;
  const [[whole], parts] = joins ? [node.outputs, node.inputs] : [node.inputs, node.outputs];
  const name = (tensor: Tensor) => names.get(tensor) as string;
  const join = { whole: name(whole), parts: parts.map(name), sizes: parts.map(({ shape }) => shape[axis]) };
  const tree = narrowJoins(join, most, (k) => `t${index}_between_${k}`);
  return (joins ? tree : tree.reverse()).map(({ whole, parts, sizes }, k) => ({
    name: `${node.name}_${index}_${k}`,
    op_type: node.name,
    input: joins ? [...parts] : [whole, int64Initializer({ int64: sizes }, initializers)],
    output: joins ? [whole] : [...parts],
    attribute: [attribute("axis", axis)],
  }));
}

/** Equal operands share one initialiser, named after its value. */
function int64Initializer({ int64, scalar }: OnnxOperand, initializers: Map<string, Proto<"TensorProto">>): string {
  const name = `int64${scalar ? "" : "s"}_${int64.join("_")}`;
  if (!initializers.has(name)) {
    initializers.set(
      name,
      initializer(name, scalar ? [] : [int64.length], INT64, bytesOf(BigInt64Array.from(int64, BigInt))),
    );
  }
  return name;
}

export function attribute(name: string, value: number | string | readonly number[]): Proto<"AttributeProto"> {
  if (typeof value === "string") return { name, type: ATTRIBUTE.string, s: new TextEncoder().encode(value) };
  if (typeof value !== "number") return { name, type: ATTRIBUTE.ints, ints: value.map(BigInt) };
  return { name, type: ATTRIBUTE.int, i: BigInt(value) };
}

function initializer(name: string, shape: readonly number[], type: number, bytes: Uint8Array): Proto<"TensorProto"> {
  return { name, dims: shape.map(BigInt), data_type: type, raw_data: bytes };
}

function valueInfo(name: string, tensor: Tensor): Proto<"ValueInfoProto"> {
  const dim = tensor.shape.map((n) => ({ dim_value: BigInt(n) }));
  return { name, type: { tensor_type: { elem_type: DATA_TYPE[tensor.dtype], shape: { dim } } } };
}

/** Little-endian, like every machine that this runs on. */
function bytesOf(data: HostArray | BigInt64Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
