/**
 * What the records of all Transformers share: the fields of their blocks, and their sizes. One Transformer block counts
 * as two gated attention units; its feed-forward network is as wide as gives both the same number of parameters.
 */
import { softmaxAttention } from "../../nn/softmax-attention.ts";
import { transformerBlock } from "../../nn/transformer-block.ts";
import { type Architecture, type ConfigOf, defineArchitecture, type ModelSize, positive } from "../architecture.ts";
import { outputMapsField } from "./output-maps.ts";

export const transformerFields = {
  heads: positive().describe("H: heads of multi-head attention; they divide the width."),
  ffn: positive().describe("Inner width of the feed-forward network."),
  ...outputMapsField,
};

type TransformerConfig = ConfigOf<typeof transformerFields>;

export function transformerPreset({ width, layers, shared }: ModelSize, { gelu = false }: { gelu?: boolean } = {}) {
  const heads = width / headWidth(width);
  const starts = { outputMaps: "zero", embedding: "normal", head: "own" };
  return { width, layers: layers / 2, heads, ffn: feedForwardWidth({ width, shared, gelu }), ...starts };
}

/** 64 as in the papers; 32 at the smallest size, which would otherwise have only two heads. */
export function headWidth(width: number): number {
  return width < 256 ? 32 : 64;
}

/**
 * Two gated units have 2 (6 d^2 + d s) parameters, attention 4 d^2: the rest, 8 d^2 + 2 d s, goes into the two d x ffn
 * matrices of a GELU network or the three of a GEGLU. Rounded to a multiple of 8.
 */
function feedForwardWidth({ width: d, shared: s, gelu }: { width: number; shared: number; gelu: boolean }): number {
  return 8 * Math.round((8 * d + 2 * s) / (gelu ? 2 : 3) / 8);
}

function* headProblems({ width, heads }: TransformerConfig): Iterable<readonly [string, string]> {
  if (width % heads !== 0) yield ["heads", `expected a divisor of the width ${width}`];
}

function* rotaryHeadProblems(config: TransformerConfig): Iterable<readonly [string, string]> {
  const { width, heads } = config;
  yield* headProblems(config);
  if (width % heads === 0 && (width / heads) % 2 !== 0) {
    yield ["heads", `expected heads of even width for rotary positions, width ${width} gives ${width / heads}`];
  }
}

/** What the records of Transformers with RoPE share. */
export const rotaryTransformer = {
  bidirectional: true,
  problems: rotaryHeadProblems,
  rotaryWidth: ({ width, heads }: TransformerConfig) => width / heads,
};

/** With softmax attention, with or without RoPE, and a network that is GEGLU where it is gated, else GELU. */
export function softmaxTransformer({
  rotary,
  gated,
  ...about
}: Pick<Architecture, "name" | "label" | "description" | "look"> & {
  readonly rotary: boolean;
  readonly gated: boolean;
}): Architecture {
  return defineArchitecture({
    ...about,
    ...rotaryTransformer,
    ...(!rotary && { problems: headProblems, rotaryWidth: () => 0 }),
    fields: transformerFields,
    quadratic: true,
    preset: (size) => transformerPreset(size, { gelu: !gated }),
    layer: ({ width, heads, ffn, outputMaps }) => {
      const attention = softmaxAttention({ width, heads, rotary, outputMaps });
      return transformerBlock({ attention, ffn, gated, outputMaps });
    },
  });
}
