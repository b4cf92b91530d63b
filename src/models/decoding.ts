/**
 * The programs that decode any model: embedding, the recurrent form of its layers, readout. The angles of positions are
 * inputs, computed by the host in float64, so that one program serves every position.
 */
import { LonghandError } from "../base/errors.ts";
import { type Shape, sizeOf } from "../base/shape.ts";
import { program } from "../graph/program.ts";
import { concat, constant, input, type Tensor } from "../graph/tensor.ts";
import { crossEntropy } from "../nn/cross-entropy.ts";
import {
  batchAxis,
  type ChangedEntry,
  type CloseRequest,
  type DecodingArchitecture,
  entriesOf,
  entryKey,
  entryShape,
  newKey,
  type Readout,
  type Room,
  type StateProgram,
  type StepRequest,
} from "../nn/decoding.ts";
import type { Recurrence, Tensors } from "../nn/layer.ts";
import { timesTransposed } from "../nn/linear.ts";
import { NewTokens } from "../nn/new-tokens.ts";
import type { AngleTable } from "../nn/positions.ts";
import { Scope } from "../nn/scope.ts";
import { type RowPlaces, storedState } from "../nn/stored-state.ts";
import { Visibility } from "../nn/visibility.ts";
import type { ModelConfig } from "./architecture.ts";
import { absolutePositions, embeddingTable, finalNorm, head, parametersOf } from "./language-model.ts";
import { architectureOf } from "./registry.ts";

/** How a causal model is decoded; throws "config" for a bidirectional one or one without a recurrent form. */
export function decodingArchitecture(config: ModelConfig): DecodingArchitecture {
  if (!config.causal) {
    throw new LonghandError(
      "config",
      "model.causal: expected true to generate text, got false (a bidirectional model can only fill in blanks)",
    );
  }
  const architecture = architectureOf(config);
  const layers = Array.from({ length: config.layers }, (_, i) => recurrenceOf(config, i));
  const spans = new Set(layers.map(({ span }) => span));
  if (spans.size > 1) {
    throw new LonghandError(
      "config",
      `${config.architecture}: expected one span of all layers, got ${[...spans].join(", ")}`,
    );
  }
  const state = entriesOf(layers);
  const canPrefill = layers.every(({ prefill }) => prefill !== undefined);
  const canClose = layers.some(({ close }) => close !== undefined);
  return {
    vocabSize: config.vocabSize,
    width: config.width,
    rotaryPairs: architecture.rotaryWidth(config) / 2,
    maxLength: architecture.maxLength(config),
    parameters: parametersOf(config),
    span: layers[0].span,
    state,
    step: (request) => readingProgram(config, layers, "step", request),
    prefill: canPrefill ? (request) => readingProgram(config, layers, "prefill", request) : undefined,
    close: canClose ? (request) => closingProgram(layers, request) : undefined,
  };
}

function recurrenceOf(config: ModelConfig, index: number): Recurrence {
  const { recurrence } = architectureOf(config).layer(config, index);
  if (recurrence !== undefined) return recurrence;
  throw new LonghandError(
    "config",
    `model.architecture: ${config.architecture} has no recurrent form and cannot be decoded`,
  );
}

/** Reads P tokens of each of B texts by the layers' `step` or `prefill`. */
function readingProgram(
  config: ModelConfig,
  layers: readonly Recurrence[],
  form: "step" | "prefill",
  { texts: B, tokens: P, padded, readout, room, whole, turned }: StepRequest,
): StateProgram {
  const scope = new Scope({ turned });
  const half = architectureOf(config).rotaryWidth(config) / 2;
  // Whole spans are read as in training, with an axis B even for a single text.
  const axis = form === "prefill" ? [B] : batchAxis(B);
  const rotations = angleInputs("rotation", [...axis, P, half]);
  const places = rowPlaces(B);
  const tokens = new NewTokens({
    ...{ batch: batchAxis(B), tokens: P, rotations, written: places.written },
    count: padded ? places.count : undefined,
  });
  const visibility = new Visibility({ causal: true });
  const changes = new Changes(
    whole ? { ...places, count: padded ? places.count : numbers(batchAxis(B), P) } : undefined,
  );
  const table = embeddingTable(scope, config);
  let x = table.gather(input("tokens", [...axis, P], "int32")); // [B …, P, d]
  if (config.absolute) {
    const angles = angleInputs("position", [...axis, P, config.width / 2]);
    x = x.add(absolutePositions(scope, config, angles));
  }
  for (const [i, layer] of layers.entries()) {
    const layerScope = scope.at("layers").at(i);
    const state = stateInputs(layer, i, B, room);
    const { y, state: changed } =
      form === "prefill" && layer.prefill
        ? layer.prefill(layerScope, x, { rotations, visibility }, state)
        : layer.step(layerScope, x, tokens, state);
    changes.add(i, layer, { before: state, changed });
    x = y;
  }
  const result = readOut(scope, config, { x, tokens, readout });
  return {
    program: program(`decode_${form}_${B}_${P}`, { result, ...changes.output() }),
    changed: changes.entries,
  };
}

function closingProgram(layers: readonly Recurrence[], { texts, room, whole }: CloseRequest): StateProgram {
  const scope = new Scope();
  const changes = new Changes(whole ? rowPlaces(texts) : undefined);
  for (const [i, layer] of layers.entries()) {
    if (!layer.close) continue;
    const before = stateInputs(layer, i, texts, room);
    changes.add(i, layer, { before, changed: layer.close(scope.at("layers").at(i), before) });
  }
  return { program: program(`decode_close_${texts}`, changes.output()), changed: changes.entries };
}

/** Inputs [B …] of a program that say where new rows go. */
function rowPlaces(B: number): RowPlaces {
  const [open, position, closed, count] = ["open", "position", "closed", "count"].map((name) =>
    input(name, batchAxis(B)),
  );
  return { written: { "open-rows": open, "token-rows": position, "span-rows": closed }, count };
}

function numbers(shape: Shape, value: number): Tensor {
  return constant(new Float32Array(sizeOf(shape)).fill(value), shape);
}

/** Changes of the state, as whole entries or one flat output, since each output costs a copy and a call. */
class Changes {
  readonly entries: ChangedEntry[] = [];
  readonly #places: RowPlaces | undefined;
  readonly #tensors: Tensor[] = [];

  /** `places` is given when outputs are whole entries. */
  constructor(places: RowPlaces | undefined) {
    this.#places = places;
  }

  add(index: number, layer: Recurrence, state: { readonly before: Tensors; readonly changed: Tensors }): void {
    const changed = this.#places ? storedState(layer, state, this.#places) : state.changed;
    for (const [name, tensor] of Object.entries(changed)) {
      this.entries.push({ key: entryKey(index, name), shape: tensor.shape });
      this.#tensors.push(tensor);
    }
  }

  output(): Record<string, Tensor> {
    if (this.#places) return Object.fromEntries(this.entries.map(({ key }, i) => [newKey(key), this.#tensors[i]]));
    // Rows of one token of one text are concatenated as they are, without a node to reshape each.
    const isRow = this.#tensors.every(({ shape, size }) => shape.length === 2 && shape[1] === size);
    const flat = isRow ? this.#tensors : this.#tensors.map((tensor) => tensor.reshape([tensor.size]));
    return flat.length === 0 ? {} : { changes: concat(flat, -1) };
  }
}

function stateInputs({ state }: Recurrence, layer: number, texts: number, room: Room): Tensors {
  return Object.fromEntries(
    Object.entries(state).map(([name, entry]) => [name, input(entryKey(layer, name), entryShape(entry, texts, room))]),
  );
}

function angleInputs(name: string, shape: readonly number[]): AngleTable {
  return { cos: input(`${name}.cos`, shape), sin: input(`${name}.sin`, shape) };
}

/** x [B …, P, d] after the last layer; see Readout for the result. */
function readOut(
  scope: Scope,
  config: ModelConfig,
  { x, tokens, readout }: { readonly x: Tensor; readonly tokens: NewTokens; readonly readout: Readout },
): Tensor {
  const d = config.width;
  const finalStates = finalNorm(scope, config, readout === "last" ? tokens.last(x) : x);
  const rows = finalStates.reshape([finalStates.size / d, d]);
  if (readout === "states") return rows;
  const { table, bias } = head(scope, config);
  if (readout !== "losses") return timesTransposed(rows, table).add(bias);
  const [count] = rows.shape;
  const weights = numbers([count], 0); // only for the weighted sum, which is not used
  return crossEntropy({ x: rows, table, bias, targets: input("targets", [count], "int32"), weights }).perToken;
}
