/** A trained model on an engine: what it is read and continued with, in Node and in a browser. */
import { bytesPerElement } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { sizeOf } from "../base/shape.ts";
import { createDecoder } from "../generate/decoder.ts";
import { decodingArchitecture } from "../models/decoding.ts";
import { entryShape } from "../nn/decoding.ts";
import type { Engine } from "../runtime/engine.ts";
import { Decoders } from "./decoders.ts";
import type { TrainedModel } from "./trained-model.ts";

export interface LoadedModel extends Omit<TrainedModel, "engine"> {
  readonly engine: Engine;
  /** What it is read and continued with. */
  readonly decoders: Decoders;
  close(): Promise<void>;
}

/** The engine belongs to the model from here on, and is closed with it. */
export function loadedModel(trained: Omit<TrainedModel, "engine">, engine: Engine): LoadedModel {
  const decoders = new Decoders(() => {
    const architecture = decodingArchitecture(trained.config.model);
    const parameters = Object.fromEntries(Object.entries(trained.parameters).map(([name, { data }]) => [name, data]));
    return createDecoder({ engine, architecture, parameters });
  });
  return { ...trained, engine, decoders, close: () => engine.close() };
}

/** A configuration can ask for a state of any size. Throws "usage" for one larger than the bytes that are available. */
export function requireMemory(
  { path, config: { model, training } }: Omit<TrainedModel, "engine">,
  available: number,
): void {
  if (training.objective !== "causal") return;
  let bytes = 0;
  for (const entry of decodingArchitecture(model).state.values())
    bytes += bytesPerElement.float32 * sizeOf(entryShape(entry, 1, { tokens: 0, spans: 0 }));
  if (bytes <= available) return;
  const [needed, there] = [bytes, available].map((count) => `${(count / 1e9).toFixed(1)} GB`);
  throw new LonghandError("usage", `${path}: its state takes ${needed}, and ${there} are available`);
}
