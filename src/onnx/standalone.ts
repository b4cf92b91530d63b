/**
 * A program as an ONNX model for other programs than ours: operators of the standard alone, all constants inside, and weights
 * as initialisers whose bytes lie in another file beside it (external data), so that several models share one file and none
 * meets the limit of 2 GB of a protobuf message.
 */
import type { Shape } from "../base/shape.ts";
import { type Program, program } from "../graph/program.ts";
import { attribute, graphParts } from "./model.ts";
import { encodeModel, type Proto } from "./schema.ts";

/** DequantizeLinear has blocks since this set of operators, in this version of the format. */
const OPSET = 21n;
const IR_VERSION = 10n;
/** TensorProto.DataType */
const DATA_TYPE = { float32: 1, int8: 3, float16: 10 } as const;
/** TensorProto.DataLocation */
const EXTERNAL = 1;
/** AttributeProto.AttributeType */
const GRAPH = 5;

/** Where the elements of a tensor lie: row-major, little-endian. */
export interface ExternalTensor {
  readonly type: keyof typeof DATA_TYPE;
  readonly shape: Shape;
  /** Name of a file beside the model. */
  readonly file: string;
  /** In bytes. */
  readonly offset: number;
  readonly bytes: number;
}

/** A parameter; of integers, with a scale for every `size` of them along an axis. */
export interface ExternalWeight extends ExternalTensor {
  readonly scale?: { readonly tensor: ExternalTensor; readonly axis: number; readonly size: number } | undefined;
}

interface StandaloneOptions {
  /** Inputs of the programs that are not inputs of the model, by name. */
  readonly weights: Readonly<Record<string, ExternalWeight>>;
  readonly branch?: Branch | undefined;
}

/** What is computed after the program if a condition holds. */
export interface Branch {
  /** An output of the program, bool [1], which is none of the model. */
  readonly condition: string;
  /** Its inputs are weights, and inputs and outputs of the first program, by their names. */
  readonly program: Program;
  /** Each output of the branch, and what takes its place if the condition does not hold: of the same kinds. */
  readonly otherwise: Readonly<Record<string, string>>;
}

export function standaloneOnnx(main: Program, { weights, branch }: StandaloneOptions): Uint8Array {
  const parts = graphParts(main, ALL_INSIDE);
  const used = new Set([...main.inputs.keys(), ...(branch?.program.inputs.keys() ?? [])]);
  const stored = Object.keys(weights).filter((name) => used.has(name));
  const written = stored.map((name) => weightProtos(name, weights[name]));
  const isWeight = new Set(stored);
  const branched = branch && branchProtos(branch);
  const known = new Set([...main.inputs.keys(), ...main.outputs.keys()]);
  const ofBranch = branched?.inputs.filter(({ name }) => !known.has(name as string)) ?? [];
  const inside = new Set<string | undefined>([branch?.condition, ...Object.values(branch?.otherwise ?? {})]);
  return encodeModel({
    ir_version: IR_VERSION,
    producer_name: "longhand",
    opset_import: [{ domain: "", version: OPSET }],
    graph: {
      name: main.name,
      node: [...written.flatMap(({ nodes }) => nodes), ...parts.nodes, ...(branched ? [branched.node] : [])],
      initializer: [
        ...written.flatMap(({ initializers }) => initializers),
        ...new Map([...parts.initializers, ...(branched?.initializers ?? [])]).values(),
      ],
      input: [...parts.inputs, ...ofBranch].filter(({ name }) => !isWeight.has(name as string)),
      output: [...parts.outputs.filter(({ name }) => !inside.has(name)), ...(branched?.outputs ?? [])],
    },
  });
}

const ALL_INSIDE = { largestInitialiser: Number.POSITIVE_INFINITY };

function branchProtos({ condition, program: then, otherwise }: Branch) {
  // Names inside must differ from those outside.
  const renamed = program(then.name, Object.fromEntries([...then.outputs].map(([name, t]) => [`then.${name}`, t])));
  const parts = graphParts(renamed, { ...ALL_INSIDE, prefix: "then." });
  const names = [...then.outputs.keys()];
  const outputs = parts.outputs.map((info, i) => ({ ...info, name: names[i] }));
  const kept = names.map((name) => {
    const own = `else.${name}`;
    return { name: own, op_type: "Identity", input: [otherwise[name]], output: [own], attribute: [] };
  });
  const graphs = {
    then_branch: { name: then.name, node: parts.nodes, output: parts.outputs },
    else_branch: {
      name: "unchanged",
      node: kept,
      output: outputs.map((info) => ({ ...info, name: `else.${info.name}` })),
    },
  };
  const node: Proto<"NodeProto"> = {
    ...{ name: then.name, op_type: "If", input: [condition], output: names },
    attribute: Object.entries(graphs).map(([name, g]) => ({ name, type: GRAPH, g })),
  };
  return { node, outputs, inputs: parts.inputs, initializers: parts.initializers };
}

interface WeightProtos {
  readonly initializers: Proto<"TensorProto">[];
  readonly nodes: Proto<"NodeProto">[];
}

/** The float32 tensor of this name. */
function weightProtos(name: string, weight: ExternalWeight): WeightProtos {
  if (weight.type === "float32") return { initializers: [externalProto(name, weight)], nodes: [] };
  const from = `${name}.${weight.type}`;
  const own = externalProto(from, weight);
  if (weight.scale === undefined) {
    const cast = {
      name,
      op_type: "Cast",
      input: [from],
      output: [name],
      attribute: [attribute("to", DATA_TYPE.float32)],
    };
    return { initializers: [own], nodes: [cast] };
  }
  const { tensor, axis, size } = weight.scale;
  const scale = `${name}.scale`;
  const dequantise = {
    ...{ name, op_type: "DequantizeLinear", input: [from, scale], output: [name] },
    attribute: [attribute("axis", axis), attribute("block_size", size)],
  };
  return { initializers: [own, externalProto(scale, tensor)], nodes: [dequantise] };
}

function externalProto(name: string, { type, shape, file, offset, bytes }: ExternalTensor): Proto<"TensorProto"> {
  const place = { location: file, offset: String(offset), length: String(bytes) };
  return {
    ...{ name, dims: shape.map(BigInt), data_type: DATA_TYPE[type] },
    external_data: Object.entries(place).map(([key, value]) => ({ key, value })),
    data_location: EXTERNAL,
  };
}
