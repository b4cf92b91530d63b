/**
 * A language model: tied embedding, scaled sinusoidal positions, the layers of an architecture, final ScaleNorm.
 * Logits are x tableᵀ + bias; training never forms them whole (nn/cross-entropy.ts), so the model ends at x.
 */
import { sizeOf } from "../base/shape.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import { gatedAttentionUnit } from "../nn/gated-attention-unit.ts";
import { flashLayer } from "../nn/mixed-chunk-attention.ts";
import { norm } from "../nn/norm.ts";
import { type AngleTable, angleTable, scaledSinusoid } from "../nn/positions.ts";
import { type Parameter, Scope } from "../nn/scope.ts";
import type { ArchitectureName, ModelConfig } from "./config.ts";

export interface ModelOutput {
  /** [B, T, d], after the final norm. */
  readonly hidden: Tensor;
  /** [V, d] */
  readonly table: Tensor;
  /** [V] */
  readonly bias: Tensor;
}

type LayerFunction = (scope: Scope, x: Tensor, config: ModelConfig, table: AngleTable, mask?: Tensor) => Tensor;

/** The layer of each architecture. */
const layerFunctions: Readonly<Record<ArchitectureName, LayerFunction>> = {
  flash: (scope, x, config, table, mask) =>
    flashLayer(scope, x, { ...unitConfig(config), chunk: config.chunk }, table, mask),
  "flash-quad": (scope, x, config, table, mask) =>
    gatedAttentionUnit(scope, x, { ...unitConfig(config), maxLength: config.maxLength }, table, mask),
};

/** The widths and switches that every gated unit of the model shares. */
export function unitConfig({ width, expansion, shared, norm, causal }: ModelConfig) {
  return { expanded: width * expansion, shared, norm, causal };
}

/** tokens [B, T] int32; mask [B, T] is 1 where a token is real. */
export function languageModel(scope: Scope, tokens: Tensor, config: ModelConfig, mask?: Tensor): ModelOutput {
  const { table, bias } = tiedEmbedding(scope, config);
  const positions = scaledSinusoid(scope.at("position"), angleTable(tokens.shape[1], config.width));
  const rotations = angleTable(tokens.shape[1], config.shared);
  let x = scope.rows("embedding.weight", table, tokens).add(positions); // [B, T, d]
  for (let i = 0; i < config.layers; i++) {
    x = layerFunctions[config.architecture](scope.at("layers").at(i), x, config, rotations, mask);
  }
  return { hidden: norm(scope.at("final.norm"), x, "scale"), table, bias };
}

export function tiedEmbedding(scope: Scope, { vocabSize, width }: ModelConfig): { table: Tensor; bias: Tensor } {
  return {
    table: scope.at("embedding").parameter("weight", [vocabSize, width], { normal: 0.02 }),
    bias: scope.at("logits").parameter("bias", [vocabSize], { constant: 0 }),
  };
}

/** Logits [B, T, V] of the whole input: for tests, evaluation of short texts and export. */
export function logitsOf({ hidden, table, bias }: ModelOutput): Tensor {
  return hidden.matmul(table.swapLast()).add(bias);
}

/** Every parameter of a model of this configuration, in a fixed order. */
export function parametersOf(config: ModelConfig): readonly Parameter[] {
  const scope = new Scope();
  languageModel(scope, input("tokens", [1, Math.min(config.chunk, config.maxLength)], "int32"), config);
  return scope.parameters;
}

export function parameterCount(config: ModelConfig): number {
  return parametersOf(config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}
