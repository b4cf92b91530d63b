/**
 * What each architecture costs at a size: parameters, and floating-point operations per token at any context, counted
 * in the graph. A matrix product [m, k] [k, n] counts 2 m n k, element-wise work nothing; forward and backward pass
 * together count three times the forward pass.
 */
import { operators } from "../graph/ops/index.ts";
import { type Program, program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { Scope } from "../nn/scope.ts";
import { type ModelConfig, parseModelConfig } from "./config.ts";
import { languageModel, logitsOf, parameterCount } from "./language-model.ts";
import { presetModel } from "./presets.ts";
import { architectureNames, architectureOf } from "./registry.ts";

export interface ArchitectureDescription {
  readonly architecture: string;
  /** The configuration of the preset for contexts up to `context`. */
  configFor(context: number): ModelConfig;
  readonly parameters: number;
  /** Floating-point operations of forward and backward pass per token, in a context of so many tokens. */
  flopsPerToken(context: number): number;
}

/** The context of configurations that need one, for counting parameters. */
const DEFAULT_CONTEXT = 1024;

/** All architectures at one size; throws "usage" for an unknown preset. */
export function describeArchitectures(preset: string, vocabSize: number): readonly ArchitectureDescription[] {
  return architectureNames().map((architecture) => {
    const configFor = (context: number) =>
      parseModelConfig({ ...presetModel(architecture, preset, { context }), vocabSize });
    return {
      architecture,
      configFor,
      parameters: parameterCount(configFor(DEFAULT_CONTEXT)),
      flopsPerToken: (context) => (3 * forwardFlops(configFor(context), context)) / context,
    };
  });
}

/** The longest contexts whose graph is built: beyond them, constants would be gigabytes, or slow to make. */
const LARGEST_COUNTED = { quadratic: 4096, linear: 16384 };

/**
 * Operations of the forward pass over one sequence, logits included. The cost of every model is a polynomial in the
 * context of degree two or less, as long as the context is a multiple of the chunk and longer than one, but for the
 * decayed sums over blocks of chunks, a thousandth of it. So the cost of a longer context is extrapolated from three
 * counted ones, of several chunks each for chunks of up to 1024.
 */
export function forwardFlops(config: ModelConfig, context: number): number {
  const largest = LARGEST_COUNTED[architectureOf(config).quadratic ? "quadratic" : "linear"];
  if (context <= largest) return countedFlops(config, context);
  const points = [largest / 2, (3 * largest) / 4, largest];
  const values = points.map((T) => countedFlops(config, T));
  return points.reduce((sum, point, i) => {
    const others = points.filter((_, j) => j !== i);
    return sum + values[i] * others.reduce((product, T) => (product * (context - T)) / (point - T), 1);
  }, 0);
}

/** All layers cost the same, so models of no layer and of one are counted. */
function countedFlops(config: ModelConfig, context: number): number {
  const [none, one] = [0, 1].map((layers) => {
    const tokens = input("tokens", [1, context], "int32");
    const logits = logitsOf(languageModel(new Scope(), tokens, { ...config, layers }));
    return matmulFlops(program("cost", { logits }));
  });
  return none + config.layers * (one - none);
}

/** Operations of every matrix product of a program. */
export function matmulFlops({ nodes }: Program): number {
  let flops = 0;
  for (const node of nodes) {
    if (node.kind !== "operator") continue;
    flops += operators[node.name].traits?.flops?.(node.inputs, node.outputs, node.attributes) ?? 0;
  }
  return flops;
}
