/** The registry of architectures: which layer each one is a stack of, with what of the configuration. */
import type { Tensor } from "../graph/tensor.ts";
import { combinerAttention } from "../nn/combiner-attention.ts";
import type { Documents } from "../nn/documents.ts";
import { favorAttention, orthogonalFeatures } from "../nn/favor-attention.ts";
import { ablatedFlashLayer } from "../nn/flash-ablations.ts";
import { type GatedUnitConfig, gatedAttentionUnit } from "../nn/gated-attention-unit.ts";
import { flashLayer } from "../nn/mixed-chunk-attention.ts";
import { mixedChunkSoftmaxAttention } from "../nn/mixed-chunk-softmax-attention.ts";
import { type AngleTable, angleTable } from "../nn/positions.ts";
import type { Scope } from "../nn/scope.ts";
import { softmaxAttention } from "../nn/softmax-attention.ts";
import { transformerBlock } from "../nn/transformer-block.ts";
import { type GatedModelConfig, isGated, type ModelConfig, type TransformerModelConfig } from "./config.ts";

export interface LayerInputs {
  /** RoPE of the layers' queries and keys. */
  readonly rotations: AngleTable;
  /** [B, T]: 1 where a token is real. */
  readonly mask?: Tensor | undefined;
  /** Those that must not see each other. */
  readonly documents?: Documents | undefined;
  /** Which layer, from 0: performer's random features are of one layer. */
  readonly layer: number;
  /** Whether what grows with the square of T is computed again in the backward pass. */
  readonly recompute?: boolean | undefined;
}

/** The angles by which all layers of a model turn queries and keys of T tokens. */
export function layerRotations(config: ModelConfig, T: number, documents?: Documents): AngleTable {
  if (isGated(config)) {
    const table = angleTable(T, config.shared);
    return documents ? documents.anglesByPlace(table) : table;
  }
  const table = angleTable(T, 2 * Math.floor(config.width / config.heads / 2)); // odd only where nothing is turned
  if (!documents) return table;
  const ofHeads = (t: Tensor) => t.reshape([-1, 1, ...t.shape.slice(1)]); // [B, 1, T, half]
  const { cos, sin } = documents.anglesByPlace(table);
  return { cos: ofHeads(cos), sin: ofHeads(sin) };
}

/** One layer of the model: x [B, T, d] -> [B, T, d]. */
export function applyLayer(scope: Scope, x: Tensor, config: ModelConfig, inputs: LayerInputs): Tensor {
  if (isGated(config)) return gatedLayer(scope, x, config, inputs);
  const { architecture, ffn } = config;
  const gated = hasGatedFeedForward(architecture);
  return transformerBlock(scope, x, { hidden: ffn, gated }, (own, normal) => attention(own, normal, config, inputs));
}

function gatedLayer(
  scope: Scope,
  x: Tensor,
  config: GatedModelConfig,
  { rotations, mask, documents, recompute }: LayerInputs,
): Tensor {
  const unit = unitConfig(config);
  switch (config.architecture) {
    case "flash":
      return config.attention === "mixed"
        ? flashLayer(scope, x, { ...unit, chunk: config.chunk }, rotations, mask, documents)
        : ablatedFlashLayer(
            scope,
            x,
            { ...unit, chunk: config.chunk, attention: config.attention },
            rotations,
            mask,
            documents,
          );
    case "flash-quad": {
      const quad = { ...unit, maxLength: config.maxLength, recompute };
      return gatedAttentionUnit(scope, x, quad, rotations, mask, documents);
    }
  }
}

function attention(
  scope: Scope,
  x: Tensor,
  config: TransformerModelConfig,
  { rotations, mask, documents, recompute, layer }: LayerInputs,
): Tensor {
  const inputs = { rotations, mask, documents };
  switch (config.architecture) {
    case "transformer":
      return softmaxAttention(scope, x, config, { mask, documents, recompute });
    case "transformer+":
    case "transformer++":
      return softmaxAttention(scope, x, config, { ...inputs, recompute });
    case "mc-tfm++":
      return mixedChunkSoftmaxAttention(scope, x, config, inputs);
    case "performer": {
      const { features, featureSeed, width, heads } = config;
      return favorAttention(scope, x, orthogonalFeatures(features, width / heads, featureSeed, layer), config, inputs);
    }
    case "combiner":
      return combinerAttention(scope, x, config, inputs);
  }
}

/** Whether a Transformer's feed-forward network is GEGLU: in Transformer++ and all that are built on it. */
export function hasGatedFeedForward(architecture: TransformerModelConfig["architecture"]): boolean {
  return architecture !== "transformer" && architecture !== "transformer+";
}

/** The widths and switches that every gated unit of the model shares. */
export function unitConfig(config: GatedModelConfig): GatedUnitConfig {
  const { width, expansion, shared, norm, causal, attentionFunction, gate, tokenShift } = config;
  return { expanded: width * expansion, shared, norm, causal, attentionFunction, gate, tokenShift };
}
