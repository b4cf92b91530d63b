/**
 * A language model: tied embedding, scaled sinusoidal positions, the layers of an architecture, final ScaleNorm. It
 * ends with the final hidden states, not with logits, of which training never forms the whole matrix
 * (nn/cross-entropy.ts).
 */
import { sizeOf } from "../base/shape.ts";
import { type Recompute, recomputed } from "../graph/recompute.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import type { ModelOutput } from "../nn/cross-entropy.ts";
import { norm } from "../nn/norm.ts";
import { angleTable, scaledSinusoid } from "../nn/positions.ts";
import { type Parameter, Scope } from "../nn/scope.ts";
import { Visibility, type WindowInputs } from "../nn/visibility.ts";
import type { ModelConfig } from "./architecture.ts";
import { architectureOf } from "./registry.ts";

interface ModelOptions {
  /** Which activations are recomputed in the backward pass instead of being kept. Default: none. */
  readonly recompute?: Recompute;
}

/** The model of a configuration, as train and generate take it. */
export function modelOf(config: ModelConfig, options: ModelOptions = {}) {
  return (scope: Scope, tokens: Tensor, inputs: WindowInputs = {}): ModelOutput =>
    languageModel(scope, tokens, config, { ...inputs, ...options });
}

/** tokens [B, T] int32. Attention and positions start again at each document, where there are any. */
export function languageModel(
  scope: Scope,
  tokens: Tensor,
  config: ModelConfig,
  { mask, documents, recompute = "none" }: WindowInputs & ModelOptions = {},
): ModelOutput {
  const architecture = architectureOf(config);
  const { table, bias } = tiedEmbedding(scope, config);
  const T = tokens.shape[1];
  const anglesOf = (width: number) => {
    const angles = angleTable(T, width);
    return documents ? documents.anglesByPosition(angles) : angles;
  };
  const inputs = {
    rotations: anglesOf(architecture.rotaryWidth(config)),
    visibility: new Visibility({ causal: config.causal, mask, documents }),
    recompute: recompute === "layers",
  };
  const positions = scaledSinusoid(scope.at("position"), anglesOf(config.width));
  let x = scope.rows("embedding.weight", table, tokens).add(positions); // [B, T, d]
  for (let i = 0; i < config.layers; i++) {
    const layerScope = scope.at("layers").at(i);
    const layer = architecture.layer(config, i);
    const forward = (x: Tensor) => layer.forward(layerScope, x, inputs);
    x = inputs.recompute ? recomputed([x], ([again]) => forward(again)) : forward(x);
  }
  return { finalStates: finalNorm(scope, x), table, bias };
}

export function finalNorm(scope: Scope, x: Tensor): Tensor {
  return norm(scope.at("final.norm"), x, "scale");
}

export function tiedEmbedding(scope: Scope, { vocabSize, width }: ModelConfig): { table: Tensor; bias: Tensor } {
  return {
    table: scope.at("embedding").parameter("weight", [vocabSize, width], { normal: 1 / Math.sqrt(width) }),
    bias: scope.at("logits").parameter("bias", [vocabSize], { constant: 0 }),
  };
}

/** Logits [B, T, V] of the whole input, for tests, short texts and export. */
export function logitsOf({ finalStates, table, bias }: ModelOutput): Tensor {
  return finalStates.matmul(table.swapLast()).add(bias);
}

/** Every parameter of a model of this configuration, in a fixed order. */
export function parametersOf(config: ModelConfig): readonly Parameter[] {
  const scope = new Scope();
  languageModel(scope, input("tokens", [1, 1], "int32"), config);
  return scope.parameters;
}

export function parameterCount(config: ModelConfig): number {
  return parametersOf(config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
