/**
 * What the records of all Transformers share: the fields of their blocks, and their sizes. One Transformer block counts as two gated attention units; its feed-forward network is as wide as gives both the same number of parameters.
 */
import { type ConfigOf, type ModelSize, positive } from "../architecture.ts";

export const transformerFields = {
  heads: positive().describe("H: heads of multi-head attention; they divide the width."),
  ffn: positive().describe("Hidden width of the feed-forward network."),
};

type TransformerConfig = ConfigOf<typeof transformerFields>;

export function transformerPreset({ width, layers, shared }: ModelSize, { gelu = false }: { gelu?: boolean } = {}) {
  const heads = width / headWidth(width);
  return { width, layers: layers / 2, heads, ffn: feedForwardWidth({ width, shared, gelu }) };
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

export function* headProblems({ width, heads }: TransformerConfig): Iterable<readonly [string, string]> {
  if (width % heads !== 0) yield ["heads", `expected a divisor of the width ${width}`];
}

export function* rotaryHeadProblems(config: TransformerConfig): Iterable<readonly [string, string]> {
  const { width, heads } = config;
  yield* headProblems(config);
  if (width % heads === 0 && (width / heads) % 2 !== 0) {
    yield ["heads", `expected heads of even width for rotary positions, width ${width} gives ${width / heads}`];
  }
}
