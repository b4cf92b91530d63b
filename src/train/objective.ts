/**
 * The training function of a model: from parameters and a batch to the loss and every gradient. Gradients of rows read
 * from a table leave the graph as rows; the host adds them up (exact, in a fixed order, and ten times faster on the CPU
 * than ScatterElements).
 */
import { mostMasked } from "../data/masking.ts";
import { gradients } from "../graph/gradients.ts";
import { type Program, program } from "../graph/program.ts";
import { constant, input, type Tensor } from "../graph/tensor.ts";
import { crossEntropy, type ModelOutput } from "../nn/cross-entropy.ts";
import { newKey } from "../nn/decoding.ts";
import { Documents } from "../nn/documents.ts";
import { type CarriedState, type ModelInputs, pastInputs } from "../nn/past.ts";
import { type Fewest, type Parameter, Scope } from "../nn/scope.ts";
import type { HostArraysByName } from "../runtime/engine.ts";
import type { Loop } from "./host-loops.ts";

export interface BatchShape {
  /** B: sequences. */
  readonly batch: number;
  /** T: tokens of each. */
  readonly context: number;
  /** Sequences of the batch that these are a part of, from all of which masking selects tokens. Default: B. */
  readonly whole?: number | undefined;
}

/**
 * What train and generate need of a model: a function from tokens [B, T] to final hidden states and the output map.
 */
export type Model = (scope: Scope, tokens: Tensor, inputs?: ModelInputs) => ModelOutput;

/** Those that training changes. */
export const trainedOf = (parameters: readonly Parameter[]) => parameters.filter(({ trained }) => trained);

/** Name of the output that holds the gradient of parameter `path`. */
export const gradientName = (path: string) => `gradient.${path}`;
const rowGradientName = (index: number) => `rows.${index}`;

export interface LossProgram {
  readonly program: Program;
  readonly parameters: readonly Parameter[];
}

export interface TrainingProgram extends LossProgram {
  /**
   * Output `rows.i` [tokens, width] is to be added to the gradient of `path` at the rows named by input `tokens`. None in
   * the dense form, which adds them up by ScatterElements.
   */
  readonly sparse: readonly { readonly path: string; readonly output: string; readonly width: number }[];
  /** Outputs that hold the state after the windows, where it is carried on. */
  readonly states: readonly string[];
}

interface Built extends BatchShape {
  readonly scope: Scope;
  readonly sum: Tensor;
  readonly perToken: Tensor;
  readonly correct: Tensor;
  /** The parameters of the output map. */
  readonly head: readonly Tensor[];
  /** The state after the window, by the names of outputs. */
  readonly state: Readonly<Record<string, Tensor>>;
}

export interface ProgramOptions {
  /**
   * What windows go on from: the inputs of nn/past.ts in addition, and outputs `new.LAYER.NAME` [B, …], the state after
   * the window. Default: each window begins anew.
   */
  readonly carried?: CarriedState | undefined;
  /**
   * Whether documents are kept apart: one more input, documents [3, B, T] int32, as data/document-windows.ts makes it.
   * Default: false, a window is one document.
   */
  readonly documents?: boolean | undefined;
  /** What the graph is to have few of. Default: passes. */
  readonly fewest?: Fewest | undefined;
}

interface BuildOptions extends ProgramOptions {
  /** Input weights [B * T] instead of 1 / (B T) for each token. */
  readonly weighted: boolean;
  /** Logits of the tokens at input places [M] alone; targets and weights are theirs, [M] as well (predicted.ts). */
  readonly masked?: boolean;
  /** Input mask [B, T]: 1 where a token is real. */
  readonly padded?: boolean;
}

function build(model: Model, { batch, context, whole = batch }: BatchShape, options: BuildOptions): Built {
  const { weighted, masked = false, padded = false, documents = false, carried, fewest } = options;
  const scope = new Scope({ fewest });
  const tokens = input("tokens", [batch, context], "int32");
  const most = Math.min(batch * context, mostMasked(whole * context)); // all that are selected may be here
  const count = masked ? most : batch * context; // rows of logits
  const places = masked ? input("places", [count], "int32") : undefined;
  const targets = input("targets", masked ? [count] : [batch, context], "int32");
  const weights =
    weighted || masked ? input("weights", [count]) : constant(new Float32Array(count).fill(1 / count), [count]);
  const {
    finalStates,
    table,
    adapter,
    bias,
    state = {},
  } = model(scope, tokens, {
    mask: padded ? input("mask", [batch, context]) : undefined,
    documents: documents ? new Documents(input("documents", [3, batch, context], "int32")) : undefined,
    past: carried && pastInputs(carried, batch),
  });
  const states = finalStates.reshape([batch * context, finalStates.shape[2]]);
  const losses = crossEntropy({
    x: places ? states.gather(places) : states,
    ...{ table, adapter, bias },
    targets: targets.reshape([count]),
    weights,
    fewest,
  });
  const after = Object.fromEntries(Object.entries(state).map(([key, tensor]) => [newKey(key), tensor]));
  const ofTable = adapter ? [adapter.a, adapter.b] : [table];
  return { scope, ...losses, head: [...ofTable, bias], state: after, batch, context };
}

interface TrainingOptions extends ProgramOptions {
  readonly weighted?: boolean;
  readonly masked?: boolean;
  readonly dense?: boolean;
}

/**
 * Inputs: every parameter, tokens and targets [B, T] int32. Outputs: loss [1] (mean nats a token) and
 * `gradient.<path>` of every parameter that is trained, of its shape. A weighted program has one more input, weights [B * T], and its
 * loss is the weighted sum. A masked one computes the logits of M tokens, as many as masking selects: places [M] says
 * which, and targets and weights [M] are theirs (predicted.ts).
 */
export function trainingProgram(
  model: Model,
  shape: BatchShape,
  { weighted = false, dense = false, ...options }: TrainingOptions = {},
): TrainingProgram {
  const { scope, sum, head, state } = build(model, shape, { ...options, weighted });
  const { parameters } = scope;
  const trained = trainedOf(parameters);
  const looked = scope.rowLookups.filter(({ path }) => trained.some((parameter) => parameter.path === path));
  const rowLookups = dense ? [] : looked;
  const wrt = [...trained.map((p) => p.tensor), ...rowLookups.map((l) => l.rows)];
  const grads = gradients(sum, wrt);
  // The runtime begins with the last output and computes what each needs: the head first, with the loss on its way, then
  // the layers from the top down, so that what a layer's gradients were computed from is freed before the next one's turn.
  const outputs: Record<string, Tensor> = { ...state };
  const sparse = rowLookups.map(({ path, rows }, i) => {
    outputs[rowGradientName(i)] = grads[trained.length + i];
    return { path, output: rowGradientName(i), width: rows.shape[rows.rank - 1] };
  });
  const body = trained.filter(({ tensor }) => !head.includes(tensor));
  const put = ({ path, tensor }: Parameter) => {
    outputs[gradientName(path)] = grads[wrt.indexOf(tensor)];
  };
  body.forEach(put);
  outputs.loss = sum;
  trained.filter((p) => !body.includes(p)).forEach(put);
  return { program: program("training", outputs), parameters, sparse, states: Object.keys(state) };
}

/**
 * Inputs: every parameter, tokens and targets [B, T] int32, weights [B * T]. Outputs: loss [1], the weighted sum of
 * nats, and losses [B * T], each token's own; with `judged`, correct [B * T] too, 1 where the target is the likeliest
 * token.
 */
export function evaluationProgram(
  model: Model,
  shape: BatchShape,
  { judged = false, ...options }: ProgramOptions & { readonly judged?: boolean } = {},
): LossProgram {
  const { scope, sum, perToken, correct, state } = build(model, shape, { ...options, weighted: true });
  const outputs = { loss: sum, losses: perToken, ...(judged && { correct }), ...state };
  return { program: program("evaluation", outputs), parameters: scope.parameters };
}

/**
 * The same for a bidirectional model, which must not see padding, at M places of a batch, as many as masking selects: in
 * addition inputs mask [B, T] and places [M], and output correct [M], 1 where the target is the likeliest token; targets,
 * weights and losses are [M].
 */
export function maskedEvaluationProgram(model: Model, shape: BatchShape, options: ProgramOptions = {}): LossProgram {
  const { scope, sum, perToken, correct } = build(model, shape, {
    ...options,
    weighted: true,
    masked: true,
    padded: true,
  });
  const outputs = { loss: sum, losses: perToken, correct };
  return { program: program("masked_evaluation", outputs), parameters: scope.parameters };
}

/**
 * Loops that add the gradients of rows to those of their tables, in the order of the tokens. To be run one after the other:
 * two may be of one table.
 */
export function rowLoops(
  { sparse }: Pick<TrainingProgram, "sparse">,
  results: HostArraysByName,
  gradients: Readonly<Record<string, Float32Array>>,
  indices: Int32Array,
): Loop[] {
  return sparse.map(({ path, output, width }) => {
    const arrays = { gradient: gradients[path], rows: results[output] as Float32Array, indices };
    return { kernel: "addRows", arrays, factors: { width }, length: width, depth: indices.length };
  });
}
