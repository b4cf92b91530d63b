/**
 * State dicts of FLASHTransformer in lucidrains/FLASH-pytorch as a model of ours with equal logits. The two differ in layout:
 *
 * - its linear maps are [out, in]; v and the gate are one map and z another, ours are one map of u, v and z;
 * - its heads come as quadratic and linear queries, then quadratic and linear keys; ours in pairs;
 * - its RoPE rotates neighbours, (2 i, 2 i + 1), of at most 32 features; ours pairs (i, i + s / 2): features change places;
 * - its relative bias has a value for each of T5's 32 buckets of distance, times sqrt(s); ours one for each distance.
 *
 * Its ScaleNorm holds the root of the mean square above 1e-5, ours adds 1e-5 under the root: a relative difference of 5e-6
 * over the mean square.
 */
import type { HostTensor } from "../../base/dtype.ts";
import { LonghandError } from "../../base/errors.ts";
import { type Shape, showShape } from "../../base/shape.ts";
import { requireTensors } from "../../checkpoint/require-tensors.ts";
import type { ModelConfig } from "../../models/architecture.ts";
import { parseModelConfig } from "../../models/config.ts";
import { frequencies, ROTARY_BIAS_FROM } from "../../nn/positions.ts";
import { type Options, requireOptions } from "./options.ts";

type Tensors = Readonly<Record<string, HostTensor>>;

/** T5's: buckets of distances, and the distance from which all share the last. */
const [BUCKETS, FARTHEST] = [32, 128];
/** RoPE rotates at most so many features. */
const MOST_ROTATED = 32;

interface Imported {
  readonly model: ModelConfig;
  readonly parameters: Tensors;
}

/** What the shapes of the tensors say. */
interface Sizes {
  readonly V: number;
  readonly d: number;
  readonly e: number;
  readonly s: number;
  readonly depth: number;
  readonly norm: "scale" | "layer";
}

/**
 * Throws "checkpoint", naming file and tensor, for one that is missing, of another shape, or too many, and "usage" for an
 * option that does not fit the weights or cannot be followed.
 */
export function fromFlashPytorch(found: Tensors, options: Options, file: string): Imported {
  const tensors = withoutWrapper(found);
  const sizes = sizesOf(tensors, file);
  const { V, d, e, s, depth, norm } = sizes;
  const { group_size: chunk, causal } = options;
  requireOptions(options, {
    ...{ dim: d, num_tokens: V, depth, query_key_dim: s, expansion_factor: e / d },
    norm_type: norm === "scale" ? "scalenorm" : "layernorm",
  });
  if (chunk >= ROTARY_BIAS_FROM) {
    throw new LonghandError(
      "usage",
      `option group_size: expected less than ${ROTARY_BIAS_FROM}, got ${chunk}; from there on Longhand's relative bias is rotary and cannot hold a learned one`,
    );
  }
  requireTensors(withoutConstants(tensors, sizes, file), layout(sizes), file);
  const rotaryWidth = Math.min(MOST_ROTATED, s);
  const model = parseModelConfig({
    ...{ architecture: "flash", vocabSize: V, width: d, layers: depth, causal, absolute: true, head: "own" },
    ...{ finalNorm: "layer", norm, expansion: e / d, shared: s, chunk, maxLength: chunk, memory: "sum" },
    attentionFunction: options.laplace_attn_fn ? "laplace" : "relu2",
    tokenShift: options.shift_tokens,
    ...(rotaryWidth < s && { rotaryWidth }),
  });
  const own = new Map<string, HostTensor>();
  const copy = (to: string, from: string) => own.set(to, tensors[from]);
  copy("embedding.weight", "token_emb.weight");
  copy("position.scale", "abs_pos_emb.scale");
  for (let i = 0; i < depth; i++) {
    const [from, to] = [`layers.${i}`, `layers.${i}`];
    if (norm === "scale") copy(`${to}.norm.gain`, `${from}.norm.g`);
    else {
      copy(`${to}.norm.gain`, `${from}.norm.weight`);
      copy(`${to}.norm.bias`, `${from}.norm.bias`);
    }
    const places = placesOfFeatures(s, rotaryWidth);
    for (const kind of ["weight", "bias"]) {
      const hidden = rowsOf(tensors[`${from}.to_hidden.0.${kind}`]);
      const z = rowsOf(tensors[`${from}.to_qk.0.${kind}`]);
      const rows = [...hidden.slice(e), ...hidden.slice(0, e), ...places.map((at) => z[at])]; // u, v, z
      own.set(`${to}.hidden.${kind}`, columns(rows, kind === "weight" ? [d, 2 * e + s] : [2 * e + s]));
    }
    for (const name of ["gamma", "beta"]) {
      const [qq, lq, qk, lk] = rowsOf(tensors[`${from}.qk_offset_scale.${name}`]);
      const rows = [qq, qk, lq, lk].flatMap((row) => places.map((at) => row[at]));
      own.set(`${to}.heads.${name}`, { dtype: "float32", shape: [4, s], data: Float32Array.from(rows) });
    }
    const buckets = tensors[`${from}.rel_pos_bias.relative_attention_bias.weight`].data;
    own.set(`${to}.bias.weight`, biasByDistance(buckets, { chunk, scale: Math.sqrt(s), causal }));
    own.set(`${to}.out.weight`, columns(rowsOf(tensors[`${from}.to_out.weight`]), [e, d]));
    copy(`${to}.out.bias`, `${from}.to_out.bias`);
  }
  copy("final.norm.gain", "to_logits.0.weight");
  copy("final.norm.bias", "to_logits.0.bias");
  copy("logits.weight", "to_logits.1.weight");
  copy("logits.bias", "to_logits.1.bias");
  return { model, parameters: Object.fromEntries(own) };
}

/** The wrapper that the library trains with puts `net.` before every name. */
function withoutWrapper(tensors: Tensors): Tensors {
  const entries = Object.entries(tensors);
  const isWrapped = entries.length > 0 && entries.every(([name]) => name.startsWith("net."));
  return isWrapped ? Object.fromEntries(entries.map(([name, tensor]) => [name.slice(4), tensor])) : tensors;
}

function sizesOf(tensors: Tensors, file: string): Sizes {
  const shapeOf = (name: string, rank: number): Shape => {
    const shape = tensors[name]?.shape;
    if (shape?.length === rank && !shape.includes(0)) return shape;
    const got = shape === undefined ? "none" : showShape(shape);
    const hint = "; a state dict of FLASHTransformer has one";
    throw new LonghandError("checkpoint", `${file}: tensor ${name}: expected ${rank} axes, got ${got}${hint}`);
  };
  const [V, d] = shapeOf("token_emb.weight", 2);
  const [, e] = shapeOf("layers.0.to_out.weight", 2);
  const [s] = shapeOf("layers.0.to_qk.0.weight", 2);
  let depth = 1;
  while (`layers.${depth}.to_out.weight` in tensors) depth++;
  return { V, d, e, s, depth, norm: "layers.0.norm.g" in tensors ? "scale" : "layer" };
}

/** Every parameter of the library's model. */
function layout({ V, d, e, s, depth, norm }: Sizes): Record<string, { dtype: "float32"; shape: Shape }> {
  const shapes: Record<string, Shape> = { "token_emb.weight": [V, d], "abs_pos_emb.scale": [1] };
  for (let i = 0; i < depth; i++) {
    const own: Record<string, Shape> = {
      ...(norm === "scale" ? { "norm.g": [1] } : { "norm.weight": [d], "norm.bias": [d] }),
      ...{ "to_hidden.0.weight": [2 * e, d], "to_hidden.0.bias": [2 * e] },
      ...{ "to_qk.0.weight": [s, d], "to_qk.0.bias": [s] },
      ...{ "qk_offset_scale.gamma": [4, s], "qk_offset_scale.beta": [4, s] },
      "rel_pos_bias.relative_attention_bias.weight": [BUCKETS, 1],
      ...{ "to_out.weight": [d, e], "to_out.bias": [d] },
    };
    for (const [name, shape] of Object.entries(own)) shapes[`layers.${i}.${name}`] = shape;
  }
  Object.assign(shapes, { "to_logits.0.weight": [d], "to_logits.0.bias": [d] });
  Object.assign(shapes, { "to_logits.1.weight": [V, d], "to_logits.1.bias": [V] });
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { dtype: "float32", shape }]));
}

/** The tensors that are learnt. Frequencies of positions are saved beside them, of RoPE once or once a layer. */
function withoutConstants(tensors: Tensors, { d, s }: Sizes, file: string): Tensors {
  const learnt: Record<string, HostTensor> = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    const isRotary = /^layers\.\d+\.rotary_pos_emb\.freqs$/.test(name);
    if (!isRotary && name !== "abs_pos_emb.inv_freq") {
      learnt[name] = tensor;
      continue;
    }
    const expected = frequencies((isRotary ? Math.min(MOST_ROTATED, s) : d) >> 1);
    const { data } = tensor;
    if (data.length === expected.length && expected.every((value, i) => Math.abs(data[i] / value - 1) < 1e-5)) continue;
    throw new LonghandError(
      "checkpoint",
      `${file}: tensor ${name}: expected the ${expected.length} frequencies 10000^(-i / ${expected.length}), got others, which Longhand has no place for`,
    );
  }
  return learnt;
}

/** The library's feature at each of our places: pairs (2 i, 2 i + 1) that are rotated, then the others, as (i, i + s / 2). */
function placesOfFeatures(s: number, rotated: number): number[] {
  const first = Array.from({ length: s / 2 }, (_, i) => (i < rotated / 2 ? 2 * i : i + rotated / 2));
  const second = first.map((at, i) => (i < rotated / 2 ? at + 1 : at + (s - rotated) / 2));
  return [...first, ...second];
}

/** The rows of a matrix [rows, n], or the elements of a vector as rows of one. */
function rowsOf({ data, shape: [rows, n = 1] }: HostTensor): Float32Array[] {
  return Array.from({ length: rows }, (_, i) => (data as Float32Array).subarray(i * n, (i + 1) * n));
}

/** These rows as the columns of a tensor. */
function columns(rows: readonly Float32Array[], shape: Shape): HostTensor {
  const data = new Float32Array(rows.length * rows[0].length);
  for (const [column, row] of rows.entries()) {
    for (let i = 0; i < row.length; i++) data[i * rows.length + column] = row[i];
  }
  return { dtype: "float32", shape, data };
}

/** [2 chunk - 1]: first the value for a query chunk - 1 positions after its key. */
function biasByDistance(
  buckets: ArrayLike<number>,
  { chunk, scale, causal }: { readonly chunk: number; readonly scale: number; readonly causal: boolean },
): HostTensor {
  const distance = (at: number) => chunk - 1 - at;
  const data = Float32Array.from({ length: 2 * chunk - 1 }, (_, at) => scale * buckets[bucketOf(distance(at), causal)]);
  return { dtype: "float32", shape: [data.length], data };
}

/**
 * T5's bucket (Raffel et al. 2020, section 2.1) for a query so many positions after its key: one for each near distance, then
 * wider and wider ones, up to FARTHEST; bidirectional half of them for keys that come later. In float32 as PyTorch rounds it,
 * since at powers of two the logarithm falls on a border.
 */
export function bucketOf(distance: number, causal: boolean): number {
  const f = Math.fround;
  const count = causal ? BUCKETS : BUCKETS / 2;
  const near = count / 2;
  const side = !causal && distance < 0 ? count : 0;
  const n = causal ? Math.max(0, distance) : Math.abs(distance);
  if (n < near) return side + n;
  const share = f(f(Math.log(f(n / near))) / f(Math.log(FARTHEST / near)));
  return side + Math.min(count - 1, near + Math.trunc(f(share * (count - near))));
}
