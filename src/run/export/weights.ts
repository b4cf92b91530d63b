/** The parameters of a model as the file of an export: `model.safetensors`. */
import type { HostTensor, TensorType } from "../../base/dtype.ts";
import { LonghandError } from "../../base/errors.ts";
import { showShape } from "../../base/shape.ts";
import { requireTensors } from "../../checkpoint/require-tensors.ts";
import { decodeSafetensors, encodeSafetensors, type TensorPlace, tensorPlaces } from "../../checkpoint/safetensors.ts";
import type { ModelConfig } from "../../models/architecture.ts";
import { parametersOf } from "../../models/language-model.ts";

type Tensors = Readonly<Record<string, HostTensor>>;

export interface EncodedWeights {
  /** The file, to be written one after the other. */
  readonly chunks: readonly Uint8Array[];
  /** Where each of its tensors lies in it. */
  readonly places: Readonly<Record<string, TensorPlace>>;
}

/** Throws "checkpoint" naming a parameter that is not finite. */
export function encodeWeights(parameters: Tensors, where: string): EncodedWeights {
  requireFinite(parameters, where);
  const chunks = encodeSafetensors(parameters);
  return { chunks, places: tensorPlaces(chunks[0], where) };
}

/**
 * The parameters of this model in the bytes of such a file. Throws "checkpoint", naming the file and the tensor, for one that
 * is missing, of another shape, too many, or not finite.
 */
export function decodeWeights(bytes: Uint8Array, model: ModelConfig, file: string): Tensors {
  const { tensors } = decodeSafetensors(bytes, file);
  requireSize(tensors, model, file);
  requireTensors(tensors, typesOf(model), file);
  requireFinite(tensors, file);
  return tensors;
}

/** Declaring the parameters of a model takes time and memory with its sizes: those must be the file's before. */
function requireSize(tensors: Tensors, { vocabSize, width, layers }: ModelConfig, file: string): void {
  const count = Object.keys(tensors).length;
  const refuse = (problem: string) => new LonghandError("checkpoint", `${file}: ${problem}`);
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
    throw new LonghandError("checkpoint", `${where}: tensor ${name}: element ${at} is ${data[at]}, not a number`);
  }
}
