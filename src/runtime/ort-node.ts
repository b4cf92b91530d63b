/** The engine on ONNX Runtime's native build for Node: the one file that names onnxruntime-node. */
import { env, InferenceSession, listSupportedBackends, Tensor } from "onnxruntime-node";
import type { Engine } from "./engine.ts";
import { OrtEngine, type OrtOptions } from "./ort-engine.ts";

export type { OrtOptions };

/** The runtime's version. */
export const ortVersion: string = env.versions.node ?? env.versions.common;

/** Names of the providers that this build of the runtime has. */
export function ortProviders(): string[] {
  return listSupportedBackends().map(({ name }) => name);
}

export function ortNodeEngine(options: OrtOptions = {}): Engine {
  return new OrtEngine({ InferenceSession, Tensor }, options);
}
