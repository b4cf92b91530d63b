/**
 * The parameters of a model as the file of an export, `model.safetensors`: by path, as float32; with linear maps and tables as
 * float16; or with these as 8-bit integers (quantised.ts) beside their scales, PATH.scale. The metadata say which, and how
 * many elements share a scale.
 */
import type { HostTensor, TensorType } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { FLOAT16_MAX, toFloat16 } from "../base/float16.ts";
import { showShape } from "../base/shape.ts";
import { requireTensors } from "../checkpoint/require-tensors.ts";
import { decodeSafetensors, encodeSafetensors, type NarrowTensor } from "../checkpoint/safetensors.ts";
import { readSafetensorsHeader, type TensorPlace } from "../checkpoint/safetensors-header.ts";
import { type WeightFormat, weightFormats } from "../config/export-settings.ts";
import type { ModelConfig } from "../models/architecture.ts";
import { parametersOf } from "../models/language-model.ts";
import type { Parameter } from "../nn/scope.ts";
import { BLOCK, type Blocks, blocksOf, dequantised, quantised, scaleShape } from "./quantised.ts";

type Tensors = Readonly<Record<string, HostTensor>>;

/** Where a parameter lies in the file. */
export interface StoredParameter {
  readonly place: TensorPlace;
  /** Of one that is 8-bit integers. */
  readonly scale?: { readonly place: TensorPlace; readonly blocks: Blocks };
}

export interface EncodedWeights {
  /** The file, in parts to be written one after the other. */
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  /** By path. */
  readonly stored: Readonly<Record<string, StoredParameter>>;
}

const scaleOf = (path: string) => `${path}.scale`;

/** Throws "checkpoint" naming a parameter that is not finite, or too large for float16. `where` is what it is read from. */
export function encodeWeights(
  parameters: Tensors,
  model: ModelConfig,
  { format, where }: { readonly format: WeightFormat; readonly where: string },
): EncodedWeights {
  requireFinite(parameters, where);
  const declared = parametersOf(model);
  const tensors: Record<string, HostTensor | NarrowTensor> =
    format === "float32"
      ? parameters
      : Object.assign({}, ...declared.map((parameter) => narrowed(parameter, parameters, { format, where })));
  const metadata = { float32: {}, float16: { weights: format }, int8: { weights: format, block: String(BLOCK) } };
  const chunks = encodeSafetensors(tensors, metadata[format]);
  const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
  const { places } = readSafetensorsHeader(chunks[0], bytes, where);
  const stored = declared.map(({ path, role }): [string, StoredParameter] => {
    const blocks = format === "int8" ? blocksOf(role, BLOCK) : undefined;
    return [path, { place: places[path], ...(blocks && { scale: { place: places[scaleOf(path)], blocks } }) }];
  });
  return { chunks, bytes, stored: Object.fromEntries(stored) };
}

/** The tensors of one parameter. */
function narrowed(
  { path, role }: Parameter,
  parameters: Tensors,
  { format, where }: { readonly format: WeightFormat; readonly where: string },
): Record<string, HostTensor | NarrowTensor> {
  const { shape, data } = parameters[path];
  const blocks = blocksOf(role, BLOCK);
  if (blocks === undefined) return { [path]: parameters[path] };
  const values = data as Float32Array;
  if (format === "int8") {
    const { integers, scales } = quantised(values, shape, blocks);
    return {
      [path]: { dtype: "int8", shape, data: integers },
      [scaleOf(path)]: { dtype: "float32", shape: scaleShape(shape, blocks), data: scales },
    };
  }
  const large = values.findIndex((value) => Math.abs(value) > FLOAT16_MAX);
  if (large < 0) return { [path]: { dtype: "float16", shape, data: toFloat16(values) } };
  const problem = `element ${large} is ${values[large]}, and float16 ends at ${FLOAT16_MAX}; choose other \`weights\``;
  throw new LonghandError("checkpoint", `${where}: tensor ${path}: ${problem}`);
}

export interface DecodedWeights {
  readonly format: WeightFormat;
  /** By path, float32. */
  readonly parameters: Tensors;
}

/**
 * The parameters of this model in the bytes of such a file. Throws "checkpoint", naming the file and the tensor, for one that
 * is missing, of another shape or type, too many, or not finite.
 */
export function decodeWeights(bytes: Uint8Array, model: ModelConfig, file: string): DecodedWeights {
  const { tensors, places, metadata } = decodeSafetensors(bytes, file);
  const refuse = (problem: string) => new LonghandError("checkpoint", `${file}: ${problem}`);
  const format = weightFormats.find((name) => name === (metadata.weights ?? "float32"));
  if (format === undefined) throw refuse(`expected weights as one of ${weightFormats.join(", ")}`);
  requireSize(tensors, model, refuse);
  const size = format === "int8" ? Number(metadata.block) : 1;
  if (!Number.isSafeInteger(size) || size < 1) throw refuse(`expected elements of a block, got ${metadata.block}`);
  const declared = parametersOf(model).map((parameter) => {
    return { ...parameter, blocks: format === "float32" ? undefined : blocksOf(parameter.role, size) };
  });
  const expected: Record<string, TensorType> = {};
  const fileTypes: Record<string, string> = {};
  for (const { path, shape, blocks } of declared) {
    const isInteger = format === "int8" && blocks !== undefined;
    expected[path] = { dtype: isInteger ? "int32" : "float32", shape };
    fileTypes[path] = isInteger ? "I8" : blocks ? "F16" : "F32";
    if (isInteger) expected[scaleOf(path)] = { dtype: "float32", shape: scaleShape(shape, blocks) };
  }
  requireTensors(tensors, expected, file);
  for (const [path, type] of Object.entries(fileTypes)) {
    if (places[path].dtype !== type) throw refuse(`tensor ${path}: expected ${type}, got ${places[path].dtype}`);
  }
  requireFinite(tensors, file);
  const parameters = declared.map(({ path, blocks }): [string, HostTensor] => {
    const own = tensors[path];
    return [path, format === "int8" && blocks ? dequantised(own, tensors[scaleOf(path)], blocks) : own];
  });
  return { format, parameters: Object.fromEntries(parameters) };
}

/** Declaring the parameters of a model takes time and memory with its sizes: those must be the file's before. */
function requireSize(
  tensors: Tensors,
  { vocabSize, width, layers }: ModelConfig,
  refuse: (problem: string) => LonghandError,
): void {
  const count = Object.keys(tensors).length;
  if (layers > count) throw refuse(`expected the tensors of ${layers} layers, got ${count} tensors`);
  const table = tensors["embedding.weight"]?.shape ?? [];
  if (table[0] === vocabSize && table[1] === width) return;
  throw refuse(`tensor embedding.weight: expected ${showShape([vocabSize, width])}, got ${showShape(table)}`);
}

export function typesOf(model: ModelConfig): Record<string, TensorType> {
  return Object.fromEntries(parametersOf(model).map(({ path, shape }) => [path, { dtype: "float32", shape }]));
}

function requireFinite(tensors: Tensors, where: string): void {
  for (const [name, { data }] of Object.entries(tensors)) {
    const at = data.findIndex((value) => !Number.isFinite(value));
    if (at < 0) continue;
    throw new LonghandError(
      "checkpoint",
      `${where}: tensor ${name}: element ${at} is ${data[at]}, not a finite number`,
    );
  }
}
