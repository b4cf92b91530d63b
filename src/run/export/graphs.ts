/** The ONNX graphs of an export. Their weights are those of model.safetensors, which lies beside them. */
import type { FileDType, TensorPlace } from "../../checkpoint/safetensors-header.ts";
import type { TrainedConfig } from "../../config/trained-config.ts";
import { exportedGraphs } from "../../models/exported.ts";
import { type ExternalTensor, type ExternalWeight, standaloneOnnx } from "../../onnx/standalone.ts";
import { WEIGHTS_FILE } from "../../use/export-files.ts";
import type { StoredParameter } from "../../use/weights.ts";

const TYPES: Partial<Record<FileDType, ExternalTensor["type"]>> = { F32: "float32", F16: "float16", I8: "int8" };

/** ONNX models by the names of their files; `stored` says where in the file of weights each parameter lies. */
export function encodeGraphs(
  { model, training }: Pick<TrainedConfig, "model" | "training">,
  stored: Readonly<Record<string, StoredParameter>>,
): Record<string, Uint8Array> {
  const weights = Object.fromEntries(Object.entries(stored).map(([path, parameter]) => [path, weightOf(parameter)]));
  const graphs = Object.entries(exportedGraphs(model, training.context));
  return Object.fromEntries(
    graphs.map(([name, { program, branch }]) => [`${name}.onnx`, standaloneOnnx(program, { weights, branch })]),
  );
}

function weightOf({ place, scale }: StoredParameter): ExternalWeight {
  if (scale === undefined) return tensorAt(place);
  const { axis, size } = scale.blocks;
  return { ...tensorAt(place), scale: { tensor: tensorAt(scale.place), axis, size } };
}

function tensorAt({ dtype, shape, offset, bytes }: TensorPlace): ExternalTensor {
  const type = TYPES[dtype];
  if (type === undefined) throw new Error(`no weight of an export is ${dtype}`);
  return { type, shape, file: WEIGHTS_FILE, offset, bytes };
}
