/** The programs of the golden cases, built from the options that each file states. Unknown options throw. */
import type { HostTensor } from "../../src/base/dtype.ts";
import { gradients } from "../../src/graph/gradients.ts";
import { type Program, program } from "../../src/graph/program.ts";
import { input, type Tensor } from "../../src/graph/tensor.ts";
import { type ModelConfig, parseModelConfig } from "../../src/models/config.ts";
import { languageModel, logitsOf } from "../../src/models/language-model.ts";
import { gatedAttentionUnit } from "../../src/nn/gated-attention-unit.ts";
import { flashLayer } from "../../src/nn/mixed-chunk-attention.ts";
import { angleTable } from "../../src/nn/positions.ts";
import { Scope } from "../../src/nn/scope.ts";
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
  const { layer, norm } = options;
  const scope = new Scope();
  const x = input("x", inputs.x.shape);
  const mask = inputs.mask && input("mask", inputs.mask.shape);
  if (norm !== "scale" && norm !== "layer") throw new Error(`option norm: unknown kind ${norm}`);
  const shared = parameters["heads.gamma"].shape[1];
  const unit = { expanded: parameters["out.weight"].shape[0], shared, norm, causal: flag(options, "causal") } as const;
  const table = angleTable(x.shape[1], shared);
  const y = (() => {
    if (layer === "gau")
      return gatedAttentionUnit(scope, x, { ...unit, maxLength: number(options, "max_length") }, table, mask);
    if (layer === "flash") return flashLayer(scope, x, { ...unit, chunk: number(options, "chunk") }, table, mask);
    throw new Error(`option layer: unknown layer ${layer}`);
  })();
  const wrt: Record<string, Tensor> = { "input.x": x };
  for (const { path, tensor } of scope.parameters) wrt[`param.${path}`] = tensor;
  const found = gradients(y, Object.values(wrt), input("cotangent", y.shape));
  return program(layer, { y, ...Object.fromEntries(Object.keys(wrt).map((name, i) => [name, found[i]])) });
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
