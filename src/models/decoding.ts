/**
 * How each architecture is decoded, and the programs of FLASH and FLASH-Quad (those of the Transformers are in
 * transformer-decoding.ts). A tile takes a few tokens into the open span (one token: a step of generation); a block takes
 * whole chunks at once, as in training; fold closes a chunk. Positions come in as rows of sines and cosines, so that one
 * program serves every position and nothing depends on the training context.
 */
import { LonghandError } from "../base/errors.ts";
import { type Program, program } from "../graph/program.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import { scoreScale } from "../nn/attention-functions.ts";
import type { CompileOnce, DecodingArchitecture, Readout } from "../nn/decoding.ts";
import { flash } from "../nn/flash.ts";
import { gatedUnitStep, withChunk } from "../nn/gated-unit-decoding.ts";
import type { AngleTable } from "../nn/positions.ts";
import { Scope } from "../nn/scope.ts";
import { Visibility } from "../nn/visibility.ts";
import { unitConfig } from "./architectures/gated-unit-fields.ts";
import { type GatedModelConfig, isGated, type ModelConfig, type TransformerModelConfig } from "./config.ts";
import { type DecodingPrograms, GatedUnitState } from "./decoding-state.ts";
import { embed, readOut, renamed } from "./decoding-tokens.ts";
import { type DecodingShape, memoryRows } from "./gated-layer-state.ts";
import { parametersOf } from "./language-model.ts";
import { transformerDecoding } from "./transformer-decoding.ts";
import { TransformerState } from "./transformer-decoding-state.ts";

/** The decoding of a causal model; throws "config" for one that looks both ways. */
export function decodingArchitecture(config: ModelConfig): DecodingArchitecture {
  if (!config.causal) {
    throw new LonghandError(
      "config",
      "model.causal: expected true to write text token by token, got false (a bidirectional model can only fill in blanks)",
    );
  }
  const { vocabSize } = config;
  const parameters = parametersOf(config);
  if (!isGated(config)) {
    const decoding = transformerDecoding(config as unknown as TransformerModelConfig);
    const begin = (compile: CompileOnce) => new TransformerState(decoding, compile);
    return { vocabSize, maxLength: Number.POSITIVE_INFINITY, parameters, begin };
  }
  const gated = config as unknown as GatedModelConfig;
  return {
    vocabSize,
    maxLength: config.architecture === "flash" ? Number.POSITIVE_INFINITY : gated.maxLength,
    parameters,
    begin: (compile, values) => new GatedUnitState(shapeOf(gated), programsOf(gated), compile, values),
  };
}

function shapeOf(config: GatedModelConfig): DecodingShape {
  const { architecture, layers, chunk, maxLength, shared, width, vocabSize } = config;
  const { tokenShift, attentionFunction } = config;
  const chunked = architecture === "flash";
  const span = chunked ? chunk : maxLength;
  const quadratic = !chunked || config.attention !== "global";
  const distant = chunked && config.attention !== "local";
  const scales = [
    ...(quadratic ? [scoreScale(attentionFunction, span, shared), 1] : []),
    ...(distant ? [1 / span, 1] : []),
  ];
  const { expanded } = unitConfig(config);
  return {
    ...{ layers, span, shared, expanded, width, vocabSize },
    ...{ chunked, quadratic, distant, tokenShift, scales },
  };
}

function programsOf(config: GatedModelConfig): DecodingPrograms {
  return {
    tile: (tokens, readout) => tileProgram(config, tokens, readout),
    block: hasBlocks(config) ? (chunks, readout) => blockProgram(config, chunks, readout) : undefined,
    fold: () => foldProgram(config),
  };
}

/** The ablations that lack what continuedFlashLayer goes on from are taken in tiles alone. */
function hasBlocks(config: GatedModelConfig): boolean {
  return config.architecture === "flash" && config.attention === "mixed" && !config.tokenShift;
}

/**
 * Inputs beside parameters: what `embed` and `readOut` name; rotation.cos and rotation.sin [H P, s]; for each layer
 * memory.i [., e], with token shift before.i [d / 2]; where there is quadratic attention keys.i [n, s], and for all
 * layers written [n], bias [L, P + n - 1] and own_bias [L, 2 P - 1].
 * Outputs: the readout; rows [L P, .], layer by layer, to be stored by the host.
 */
function tileProgram(config: GatedModelConfig, P: number, readout: Readout): Program {
  const shape = shapeOf(config);
  const { layers, span: n, shared: s, expanded: e, width: d, quadratic, tokenShift, scales } = shape;
  const heads = scales.length;
  const scope = new Scope();
  const rotation = { cos: input("rotation.cos", [heads * P, s]), sin: input("rotation.sin", [heads * P, s]) };
  const rowsOf = (name: string, width: number) =>
    input(name, [layers, width])
      .split(0, new Array<number>(layers).fill(1))
      .map((row) => row.reshape([width]));
  const ofAll = quadratic && {
    written: input("written", [n]),
    bias: rowsOf("bias", P + n - 1),
    ownBias: rowsOf("own_bias", 2 * P - 1),
  };
  const stored: Tensor[] = [];
  let x = embed(scope, config as unknown as ModelConfig, P);
  for (let i = 0; i < layers; i++) {
    const { y, rows } = gatedUnitStep(scope.at("layers").at(i), x, unitConfig(config), rotation, {
      memory: input(`memory.${i}`, [memoryRows(shape), e]),
      quadratic: ofAll
        ? { keys: input(`keys.${i}`, [n, s]), written: ofAll.written, bias: ofAll.bias[i], ownBias: ofAll.ownBias[i] }
        : undefined,
      before: tokenShift ? input(`before.${i}`, [1, d / 2]) : undefined,
    });
    x = y;
    stored.push(rows);
  }
  const [first, ...rest] = stored;
  return program(`decode_tile_${P}`, {
    ...readOut(scope, config as unknown as ModelConfig, x, readout),
    rows: first.concat(rest, 0),
  });
}

/**
 * Inputs beside parameters: what `embed` and `readOut` name; rotation.cos and rotation.sin [P, s / 2]; done.i [s, e].
 * Outputs: the readout; done.i, with these chunks.
 */
function blockProgram(config: GatedModelConfig, chunks: number, readout: Readout): Program {
  const { layers, span: C, shared: s, expanded: e, width: d } = shapeOf(config);
  const P = chunks * C;
  const scope = new Scope();
  const rotations: AngleTable = { cos: input("rotation.cos", [P, s / 2]), sin: input("rotation.sin", [P, s / 2]) };
  const visibility = new Visibility({ causal: true });
  const { prefill } = flash({ ...unitConfig(config), chunk: C }).recurrence ?? {};
  if (!prefill) throw new LonghandError("graph", "flash: expected a prefill");
  const sums: Record<string, Tensor> = {};
  let x = embed(scope, config as unknown as ModelConfig, P).reshape([1, P, d]);
  for (let i = 0; i < layers; i++) {
    const before = { done: input(`done.${i}`, [s, e]).reshape([1, s, e]), rest: x.zeros([1, s, e]) };
    const { y, state } = prefill(scope.at("layers").at(i), x, { rotations, visibility }, before);
    x = y;
    sums[`done.${i}`] = state.done.reshape([s, e]);
  }
  return program(`decode_block_${P}`, {
    ...readOut(scope, config as unknown as ModelConfig, x.reshape([P, d]), readout),
    ...renamed(sums),
  });
}

/** Inputs done [s, e], linear_keys [C, s], values [C, e]; output sum [s, e]. */
function foldProgram(config: GatedModelConfig): Program {
  const { span: C, shared: s, expanded: e } = shapeOf(config);
  const sum = withChunk(input("done", [s, e]), input("linear_keys", [C, s]), input("values", [C, e]));
  return program("decode_fold", { sum });
}
