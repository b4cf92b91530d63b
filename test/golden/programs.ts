/** The programs of the golden cases, built from the options that each file states. Unknown options throw. */
import type { HostTensor } from "../../src/base/dtype.ts";
import { gradients } from "../../src/graph/gradients.ts";
import { type Program, program } from "../../src/graph/program.ts";
import { input, type Tensor } from "../../src/graph/tensor.ts";
import { type ModelConfig, parseModelConfig } from "../../src/models/config.ts";
import { languageModel, logitsOf } from "../../src/models/language-model.ts";
import { combinerAttention } from "../../src/nn/combiner-attention.ts";
import { favorAttention } from "../../src/nn/favor-attention.ts";
import { flash } from "../../src/nn/flash.ts";
import { flashQuad } from "../../src/nn/flash-quad.ts";
import type { Layer } from "../../src/nn/layer.ts";
import { mixedChunkSoftmaxAttention } from "../../src/nn/mixed-chunk-softmax-attention.ts";
import { angleTable } from "../../src/nn/positions.ts";
import { Scope } from "../../src/nn/scope.ts";
import { softmaxAttention } from "../../src/nn/softmax-attention.ts";
import { transformerBlock } from "../../src/nn/transformer-block.ts";
import { Visibility } from "../../src/nn/visibility.ts";
import { type TrainingProgram, trainingProgram } from "../../src/train/objective.ts";

type Options = Readonly<Record<string, string>>;
type Tensors = Readonly<Record<string, HostTensor>>;

function flag(options: Options, name: string): boolean {
  const value = options[name];
  if (value !== "True" && value !== "False") throw new Error(`option ${name}: expected True or False, got ${value}`);
  return value === "True";
}

function number(options: Options, name: string): number {
  const value = Number(options[name]);
  if (options[name] === undefined || Number.isNaN(value))
    throw new Error(`option ${name}: expected a number, got ${options[name]}`);
  return value;
}

/** y and the gradients of sum(y * cotangent), named as in the files: input.x, param.<path>. */
export function layerProgram(options: Options, parameters: Tensors, inputs: Tensors): Program {
  const scope = new Scope();
  const x = input("x", inputs.x.shape);
  const y =
    options.heads === undefined
      ? gatedLayer(scope, x, options, parameters, inputs)
      : transformerLayer(scope, x, options, parameters, inputs);
  const wrt: Record<string, Tensor> = { "input.x": x };
  for (const { path, tensor } of scope.parameters) wrt[`param.${path}`] = tensor;
  const found = gradients(y, Object.values(wrt), input("cotangent", y.shape));
  const outputs = Object.fromEntries(Object.keys(wrt).map((name, i) => [name, found[i]]));
  return program(options.layer, { y, ...outputs });
}

function gatedLayer(scope: Scope, x: Tensor, options: Options, parameters: Tensors, inputs: Tensors): Tensor {
  const { layer, norm } = options;
  const mask = inputs.mask && input("mask", inputs.mask.shape);
  if (norm !== "scale" && norm !== "layer") throw new Error(`option norm: unknown kind ${norm}`);
  const shared = parameters["heads.gamma"].shape[1];
  const unit = { expanded: parameters["out.weight"].shape[0], shared, norm, width: x.shape[2] } as const;
  const visibility = new Visibility({ causal: flag(options, "causal"), mask });
  const given = { rotations: angleTable(x.shape[1], shared), visibility };
  if (layer === "gau") return flashQuad({ ...unit, maxLength: number(options, "max_length") }).forward(scope, x, given);
  if (layer === "flash") return flash({ ...unit, chunk: number(options, "chunk") }).forward(scope, x, given);
  throw new Error(`option layer: unknown layer ${layer}`);
}

function transformerLayer(scope: Scope, x: Tensor, options: Options, parameters: Tensors, inputs: Tensors): Tensor {
  const [, T, width] = x.shape;
  const config = { width, heads: number(options, "heads"), chunk: number(options, "chunk") };
  const attention = (): Layer => {
    switch (options.layer) {
      case "transformer":
        return softmaxAttention({ ...config, rotary: false });
      case "transformer_plus":
      case "transformer_plus_plus":
        return softmaxAttention({ ...config, rotary: true });
      case "mc_tfm_plus_plus":
        return mixedChunkSoftmaxAttention(config);
      case "performer": {
        const features = input("features", inputs.features.shape);
        return favorAttention({ ...config, features, sumChunk: config.chunk });
      }
      case "combiner":
        return combinerAttention(config);
      default:
        throw new Error(`option layer: unknown layer ${options.layer}`);
    }
  };
  const ffn = parameters["down.weight"].shape[0];
  const block = transformerBlock({ attention: attention(), ffn, gated: parameters["gate.weight"] !== undefined });
  const visibility = new Visibility({ causal: flag(options, "causal") });
  return block.forward(scope, x, { rotations: angleTable(T, width / config.heads), visibility });
}

export interface ModelPrograms {
  readonly logits: Program;
  readonly training: TrainingProgram;
}

export function modelPrograms(options: Options, parameters: Tensors, inputs: Tensors): ModelPrograms {
  const architecture = { flash: "flash", gau: "flash-quad" }[options.kind ?? ""];
  if (architecture === undefined) throw new Error(`a model of unknown kind ${options.kind}`);
  const [batch, context] = inputs.tokens.shape;
  const [vocabSize, width] = parameters["embedding.weight"].shape;
  const config: ModelConfig = parseModelConfig({
    architecture,
    vocabSize,
    width,
    layers: number(options, "layers"),
    shared: number(options, "s"),
    chunk: number(options, "chunk"),
    maxLength: architecture === "flash" ? context : number(options, "max_length"),
    causal: flag(options, "causal"),
  });
  const model = (scope: Scope, tokens: Tensor) => languageModel(scope, tokens, config);
  const tokens = input("tokens", [batch, context], "int32");
  return {
    logits: program("logits", { logits: logitsOf(model(new Scope(), tokens)) }),
    training: trainingProgram(model, { batch, context }, { weighted: inputs.weights !== undefined }),
  };
}
