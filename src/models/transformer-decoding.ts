/**
 * The programs by which the Transformers are decoded: a tile takes a few tokens (one token: a step of generation), a prompt
 * is a row of large tiles. Softmax models keep all keys and values; MC-TFM++ those of the open chunk and sums; Combiner
 * those of the open block and a summary of each finished one; Performer sums alone.
 */
import { type Program, program } from "../graph/program.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import type { Readout } from "../nn/decoding.ts";
import { orthogonalFeatures, SUM_CHUNK } from "../nn/favor-attention.ts";
import {
  combinerStep,
  type Found,
  favorStep,
  mixedChunkSoftmaxStep,
  type RememberedRows,
  softmaxStep,
  transformerBlockStep,
} from "../nn/multi-head-decoding.ts";
import type { AngleTable } from "../nn/positions.ts";
import { Scope } from "../nn/scope.ts";
import type { ModelConfig, TransformerModelConfig } from "./config.ts";
import { embed, readOut, renamed } from "./decoding-tokens.ts";
import type { DecodingLayer, TransformerDecoding } from "./transformer-decoding-state.ts";

type Remembers = Pick<TransformerDecoding, "span" | "fixedRows" | "growingRows" | "carried" | "close">;

/** Rows for which there is room at the start: tokens of a cache, summaries of Combiner. */
const FIRST_TOKENS = 256;
const FIRST_SUMMARIES = 64;
const HIDDEN = -1e30;

export function transformerDecoding(config: TransformerModelConfig): TransformerDecoding {
  const { layers, heads, width, vocabSize, architecture } = config;
  const remembers = remembersOf(config);
  return {
    layers,
    heads,
    headWidth: width / heads,
    width,
    vocabSize,
    rotary: architecture !== "transformer",
    ...remembers,
    tile: (P, rows, readout) => tileProgram(config, remembers, { P, rows, readout }),
  };
}

function remembersOf(config: TransformerModelConfig): Remembers {
  const { architecture, heads: H, width } = config;
  const w = width / H;
  switch (architecture) {
    case "transformer":
    case "transformer+":
    case "transformer++":
      return { span: Number.POSITIVE_INFINITY, fixedRows: 0, growingRows: FIRST_TOKENS, carried: {} };
    case "performer": {
      const sums = { shape: [1, H, config.features, w + 1], initial: 0 };
      const peak = { shape: [1, H, 1, 1], initial: HIDDEN };
      const carried = { sums, peak, done: sums, donePeak: peak };
      return { span: SUM_CHUNK, fixedRows: 0, growingRows: 0, carried, close: finishSums };
    }
    case "mc-tfm++": {
      const sums = { shape: [1, H, w, w], initial: 0 };
      const carried = { sums, done: sums };
      return { span: config.chunk, fixedRows: config.chunk, growingRows: 0, carried, close: finishSums };
    }
    default: {
      const C = config.chunk;
      const queryPeak = { shape: [1, H, 1, w], initial: HIDDEN };
      const close = (layer: DecodingLayer, finished: number) => summarise(layer, { C, w, finished });
      return { span: C, fixedRows: C, growingRows: FIRST_SUMMARIES, carried: { queryPeak }, close };
    }
  }
}

/** Inputs and outputs: see TransformerDecoding. */
function tileProgram(
  config: TransformerModelConfig,
  { carried }: Remembers,
  { P, rows: n, readout }: { P: number; rows: number; readout: Readout },
): Program {
  const { architecture, layers, heads: H, width: d, ffn } = config;
  const w = d / H;
  const scope = new Scope();
  const half = Math.floor(w / 2); // odd only where nothing is turned
  const rotations = { cos: input("rotation.cos", [P, half]), sin: input("rotation.sin", [P, half]) };
  const [real, written] = [input("real", [P]), input("written", [n])];
  const stored: Tensor[] = [];
  const changed: Record<string, Tensor> = {};
  let x = embed(scope, config as unknown as ModelConfig, P).reshape([1, P, d]);
  for (let i = 0; i < layers; i++) {
    const rows = () => ({
      keys: input(`keys.${i}`, [1, H, n, w]),
      values: input(`values.${i}`, [1, H, n, w]),
      written,
    });
    const inputs = Object.entries(carried).map(([name, { shape }]) => [name, input(`${name}.${i}`, shape)] as const);
    const memory = { rows, rotations, real, carried: Object.fromEntries(inputs), layer: i };
    const block = { ffn, gated: !["transformer", "transformer+"].includes(architecture) };
    const result = transformerBlockStep(scope.at("layers").at(i), x, block, (own, normal) =>
      attentionStep(own, normal, config, memory),
    );
    x = result.y;
    stored.push(...(result.rows ?? []));
    for (const [name, tensor] of Object.entries(result.carried ?? {})) changed[`${name}.${i}`] = tensor;
  }
  const [first, ...rest] = stored;
  return program(`decode_${architecture.replace(/\W/g, "_")}_${P}_${n}`, {
    ...readOut(scope, config as unknown as ModelConfig, x.reshape([P, d]), readout),
    ...(first && { rows: first.concat(rest, 1) }),
    ...renamed(changed),
  });
}

interface Memory {
  rows(): RememberedRows;
  readonly rotations: AngleTable;
  readonly real: Tensor;
  readonly carried: Readonly<Record<string, Tensor>>;
  readonly layer: number;
}

function attentionStep(
  scope: Scope,
  x: Tensor,
  config: TransformerModelConfig,
  { rows, rotations, real, carried, layer }: Memory,
): Found {
  const { heads, width } = config;
  switch (config.architecture) {
    case "transformer":
      return softmaxStep(scope, x, { heads }, rows());
    case "transformer+":
    case "transformer++":
      return softmaxStep(scope, x, { heads, rotations }, rows());
    case "mc-tfm++": {
      const { sums, done } = carried;
      return mixedChunkSoftmaxStep(scope, x, { heads, rotations, chunk: config.chunk }, rows(), { sums, done, real });
    }
    case "performer": {
      const { sums, peak, done, donePeak } = carried;
      const features = orthogonalFeatures(config.features, width / heads, config.featureSeed, layer);
      return favorStep(scope, x, { heads, rotations, features }, { sums, peak, done, donePeak, real });
    }
    default:
      return combinerStep(scope, x, { heads, rotations }, rows(), { queryPeak: carried.queryPeak, real });
  }
}

/** Adds the sums of a finished span to those before it, both to the same peak where there are peaks, and begins anew. */
function finishSums({ carried: { sums, peak, done, donePeak }, exact }: DecodingLayer): void {
  const each = peak ? done.length / peak.length : done.length; // numbers that share a peak: those of a head
  for (let at = 0; at < done.length; at++) {
    const head = Math.floor(at / each);
    const keep = peak ? Math.exp(donePeak[head] - peak[head]) : 1;
    exact[at] = exact[at] * keep + sums[at];
    done[at] = exact[at];
  }
  donePeak?.set(peak);
  sums.fill(0);
}

/**
 * A finished block of C rows becomes one row after the block's and the `finished` earlier summaries, and the maximum of
 * queries begins anew: see combiner-attention.ts for what a summary is.
 */
function summarise(
  { keys, values, carried: { queryPeak: peak } }: DecodingLayer,
  { C, w, finished }: { C: number; w: number; finished: number },
): void {
  const H = peak.length / w;
  const rows = keys.length / (H * w);
  const weights = new Float64Array(C);
  const sum = new Float64Array(w);
  for (let h = 0; h < H; h++) {
    const block = h * rows * w;
    const to = block + (C + finished) * w;
    const summaryKey = keys.subarray(to, to + w).fill(Number.NEGATIVE_INFINITY);
    for (let j = 0; j < C; j++) {
      weights[j] = 0;
      for (let a = 0; a < w; a++) {
        const key = keys[block + j * w + a];
        summaryKey[a] = Math.max(summaryKey[a], key);
        weights[j] += peak[h * w + a] * key;
      }
    }
    const largest = weights.reduce((a, b) => Math.max(a, b));
    let total = 0;
    sum.fill(0);
    for (let j = 0; j < C; j++) {
      const weight = Math.exp(weights[j] - largest);
      total += weight;
      for (let a = 0; a < w; a++) sum[a] += weight * values[block + j * w + a];
    }
    for (let a = 0; a < w; a++) values[to + a] = sum[a] / total;
  }
  peak.fill(HIDDEN);
}
