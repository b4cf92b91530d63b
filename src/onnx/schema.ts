/**
 * The part of the ONNX message format (onnx.proto, IR version 9) that a Longhand graph needs, described for
 * @bufbuild/protobuf at run time: message by message, `field: number type`. No wire bytes are made by hand.
 */
import { create, createFileRegistry, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type FieldDescriptorProto_Label,
  type FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

// FieldDescriptorProto's own numbers for types and labels.
const TYPE = { int64: 3, int32: 5, string: 9, message: 11, bytes: 12 } as const;
const OPTIONAL = 1 as FieldDescriptorProto_Label;
const REPEATED = 3 as FieldDescriptorProto_Label;

type Field<T extends string = string> = readonly [number: number, type: T];

/** A type that is not a scalar is the name of a message; a trailing [] means repeated. */
const MESSAGES = {
  ModelProto: {
    ir_version: [1, "int64"],
    producer_name: [2, "string"],
    graph: [7, "GraphProto"],
    opset_import: [8, "OperatorSetIdProto[]"],
  },
  OperatorSetIdProto: { domain: [1, "string"], version: [2, "int64"] },
  GraphProto: {
    node: [1, "NodeProto[]"],
    name: [2, "string"],
    initializer: [5, "TensorProto[]"],
    input: [11, "ValueInfoProto[]"],
    output: [12, "ValueInfoProto[]"],
  },
  NodeProto: {
    input: [1, "string[]"],
    output: [2, "string[]"],
    name: [3, "string"],
    op_type: [4, "string"],
    attribute: [5, "AttributeProto[]"],
    domain: [7, "string"],
  },
  AttributeProto: {
    name: [1, "string"],
    i: [3, "int64"],
    s: [4, "bytes"],
    g: [6, "GraphProto"],
    ints: [8, "int64[]"],
    type: [20, "int32"],
  },
  TensorProto: {
    dims: [1, "int64[]"],
    data_type: [2, "int32"],
    name: [8, "string"],
    raw_data: [9, "bytes"],
    external_data: [13, "StringStringEntryProto[]"],
    data_location: [14, "int32"],
  },
  StringStringEntryProto: { key: [1, "string"], value: [2, "string"] },
  ValueInfoProto: { name: [1, "string"], type: [2, "TypeProto"] },
  TypeProto: { tensor_type: [1, "TensorTypeProto"] },
  TensorTypeProto: { elem_type: [1, "int32"], shape: [2, "TensorShapeProto"] },
  TensorShapeProto: { dim: [1, "DimensionProto[]"] },
  DimensionProto: { dim_value: [1, "int64"] },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Field>>>>;

interface Scalars {
  int64: bigint;
  int32: number;
  string: string;
  bytes: Uint8Array;
}
type Value<T extends string> = T extends `${infer Item}[]`
  ? Value<Item>[]
  : T extends keyof Scalars
    ? Scalars[T]
    : T extends keyof typeof MESSAGES
      ? Proto<T>
      : never;
/** A message as a plain object. */
export type Proto<N extends keyof typeof MESSAGES> = {
  -readonly [F in keyof (typeof MESSAGES)[N]]?: (typeof MESSAGES)[N][F] extends Field<infer T> ? Value<T> : never;
};

function describe(): DescMessage {
  const file = create(FileDescriptorProtoSchema, {
    name: "onnx.proto",
    package: "onnx",
    syntax: "proto3",
    messageType: Object.entries(MESSAGES).map(([name, fields]) => ({
      name,
      field: Object.entries<Field>(fields).map(([field, [number, text]]) => {
        const base = text.replace("[]", "");
        const scalar = TYPE[base as keyof typeof TYPE];
        return {
          name: field,
          jsonName: field,
          number,
          label: text.endsWith("[]") ? REPEATED : OPTIONAL,
          type: (scalar ?? TYPE.message) as FieldDescriptorProto_Type,
          ...(scalar === undefined ? { typeName: `.onnx.${base}` } : {}),
        };
      }),
    })),
  });
  const message = createFileRegistry(file, () => undefined).getMessage("onnx.ModelProto");
  if (message === undefined) throw new Error("onnx.ModelProto is not described");
  return message;
}

/** A ModelProto as bytes. */
export function encodeModel(model: Proto<"ModelProto">): Uint8Array {
  const schema = describe();
  return toBinary(schema, build(schema, model));
}

type Plain = { readonly [field: string]: unknown };

/** Plain objects with the field names of onnx.proto, made into messages of the (camel-cased) run-time schema. */
function build(schema: DescMessage, plain: Plain): ReturnType<typeof create> {
  const values: Record<string, unknown> = {};
  for (const field of schema.fields) {
    const value = plain[field.name];
    if (value === undefined) continue;
    if (field.fieldKind === "message") values[field.localName] = build(field.message, value as Plain);
    else if (field.fieldKind === "list" && field.listKind === "message") {
      values[field.localName] = (value as Plain[]).map((item) => build(field.message, item));
    } else values[field.localName] = value;
  }
  return create(schema, values as never);
}

/** The fields of a ModelProto that are described above. Throws what the protobuf package does for bytes that are none. */
export function decodeModel(bytes: Uint8Array): Proto<"ModelProto"> {
  const schema = describe();
  return plainOf(schema, fromBinary(schema, bytes) as unknown as Plain);
}

/** The reverse of `build`. */
function plainOf(schema: DescMessage, message: Plain): Plain {
  const fields = schema.fields.map((field): [string, unknown] => {
    const value = message[field.localName];
    if (value === undefined) return [field.name, undefined];
    if (field.fieldKind === "message") return [field.name, plainOf(field.message, value as Plain)];
    if (field.fieldKind !== "list" || field.listKind !== "message") return [field.name, value];
    return [field.name, (value as Plain[]).map((item) => plainOf(field.message, item))];
  });
  return Object.fromEntries(fields);
}
