/**
 * A language model: embedding, scaled sinusoidal positions, the layers of an architecture, final norm. It
 * ends with the final hidden states, not with logits, of which training never forms the whole matrix
 * (nn/cross-entropy.ts).
 */
import { LonghandError } from "../base/errors.ts";
import { sizeOf } from "../base/shape.ts";
import { type Recompute, recomputed } from "../graph/recompute.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import type { ModelOutput } from "../nn/cross-entropy.ts";
import { entryKey } from "../nn/decoding.ts";
import type { AttentionSeen, Layer, Recurrence, Tensors } from "../nn/layer.ts";
import { norm } from "../nn/norm.ts";
import { anglesFrom, type ModelInputs, type Past } from "../nn/past.ts";
import { type AngleTable, angleTable, scaledSinusoid } from "../nn/positions.ts";
import { type Parameter, Scope, type Tuning } from "../nn/scope.ts";
import { Visibility } from "../nn/visibility.ts";
import type { ModelConfig } from "./architecture.ts";
import { architectureOf } from "./registry.ts";

interface ModelOptions {
  /** Which activations are recomputed in the backward pass instead of being kept. Default: none. */
  readonly recompute?: Recompute;
  /** false: without the distant half of layers that have one, to see what it is worth. Default: true. */
  readonly distant?: boolean;
  /** What of it is trained. Default: everything. */
  readonly tuning?: Tuning;
  /** Is shown what the attention of each layer sees, where it has exact weights. Not with recompute. */
  readonly observe?: (layer: number, seen: AttentionSeen) => void;
}

/** The model of a configuration, as train and generate take it. */
export function modelOf(config: ModelConfig, { tuning = {}, ...options }: ModelOptions = {}) {
  return (scope: Scope, tokens: Tensor, inputs: ModelInputs = {}): ModelOutput =>
    languageModel(scope.tuned(tuning), tokens, config, { ...inputs, ...options });
}

/**
 * tokens [B, T] int32. Attention and positions start again at each document, where there are any. With a past they go on
 * from it, T is whole spans, and the state after the window is returned.
 */
export function languageModel(
  scope: Scope,
  tokens: Tensor,
  config: ModelConfig,
  {
    mask,
    documents,
    past,
    recompute = "none",
    distant = true,
    observe,
  }: ModelInputs & Omit<ModelOptions, "tuning"> = {},
): ModelOutput {
  const architecture = architectureOf(config);
  const table = embeddingTable(scope, config);
  const output = head(scope, config);
  const T = tokens.shape[1];
  const anglesOf = (width: number, start?: AngleTable) => {
    const angles = angleTable(T, width);
    const own = documents ? documents.anglesByPosition(angles) : angles;
    return start ? anglesFrom(start, own, documents) : own;
  };
  const inputs = {
    rotations: anglesOf(architecture.rotaryWidth(config), past?.rotation),
    visibility: new Visibility({ causal: config.causal, mask, documents }),
    recompute: recompute === "layers",
    distant,
  };
  const state: Record<string, Tensor> = {};
  let x = scope.rows("embedding.weight", table, tokens); // [B, T, d]
  if (config.absolute) x = x.add(absolutePositions(scope, config, anglesOf(config.width, past?.position)));
  for (let i = 0; i < config.layers; i++) {
    const layerScope = scope.at("layers").at(i);
    const layer = architecture.layer(config, i);
    const own = observe ? { ...inputs, observe: (seen: AttentionSeen) => observe(i, seen) } : inputs;
    const forward = (x: Tensor) => {
      if (!past) return layer.forward(layerScope, x, own);
      const { y, state: changed } = prefillOf(layer, config)(layerScope, x, own, stateOfLayer(past, layer, i));
      for (const [name, after] of Object.entries(changed)) state[entryKey(i, name)] ??= after; // of the forward pass
      return y;
    };
    x = inputs.recompute ? recomputed([x], ([again]) => forward(again)) : forward(x);
  }
  return { finalStates: finalNorm(scope, config, x), ...output, ...(past && { state }) };
}
function prefillOf({ recurrence }: Layer, { architecture }: ModelConfig): NonNullable<Recurrence["prefill"]> {
  if (recurrence?.prefill) return recurrence.prefill;
  throw new LonghandError("graph", `${architecture}: it cannot read a window after a state`);
}

/** Its entries in the past, by their own names. */
function stateOfLayer({ state }: Past, { recurrence }: Layer, index: number): Tensors {
  const names = Object.keys(recurrence?.state ?? {}).filter((name) => entryKey(index, name) in state);
  return Object.fromEntries(names.map((name) => [name, state[entryKey(index, name)]]));
}

export function finalNorm(scope: Scope, { finalNorm: kind = "scale" }: ModelConfig, x: Tensor): Tensor {
  return norm(scope.at("final.norm"), x, kind);
}

/** The standard deviation that the embedding starts with, and the scale of the positions added to it. */
function embeddingStart({ embedding, width }: ModelConfig): number {
  return embedding === "normal" ? 0.02 : 1 / Math.sqrt(width);
}

/** [..., d] of positions whose angles [..., d / 2] these are. */
export function absolutePositions(scope: Scope, config: ModelConfig, angles: AngleTable): Tensor {
  return scaledSinusoid(scope.at("position"), angles, embeddingStart(config));
}

/** [V, d] */
export function embeddingTable(scope: Scope, config: ModelConfig): Tensor {
  const { vocabSize, width } = config;
  return scope.at("embedding").parameter("weight", [vocabSize, width], { normal: embeddingStart(config) }, "table");
}

/** The map to logits: the embedding's table (Press and Wolf 2017), or one of its own. */
export function head(scope: Scope, config: ModelConfig): Pick<ModelOutput, "table" | "adapter" | "bias"> {
  const { vocabSize, width } = config;
  const own = scope.at("logits");
  const table =
    config.head === "tied"
      ? embeddingTable(scope, config)
      : own.parameter("weight", [vocabSize, width], { constant: 0 }, "head");
  const bias = own.parameter("bias", [vocabSize], { constant: 0 });
  return { table, adapter: own.adapterOf("weight"), bias };
}

/** Logits [B, T, V] of the whole input, for tests, short texts and export. */
export function logitsOf({ finalStates, table, bias }: ModelOutput): Tensor {
  return finalStates.matmul(table.swapLast()).add(bias);
}

/** Every parameter of a model of this configuration, and of the adapter that it has in training, in a fixed order. */
export function parametersOf(config: ModelConfig, tuning: Tuning = {}): readonly Parameter[] {
  const scope = new Scope({ tuning });
  languageModel(scope, input("tokens", [1, 1], "int32"), config);
  return scope.parameters;
}

export function parameterCount(config: ModelConfig): number {
  return parametersOf(config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
