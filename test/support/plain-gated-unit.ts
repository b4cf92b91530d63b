/**
 * The plain sibling of the gated units: GAU, FLASH and all their ablations as loops over tokens, each weight by itself,
 * without chunks of work, padding or fused anything. Constants are rounded once, as the graph's are. Gradients come from
 * the tape.
 */

import type { MemoryConfig } from "../../src/nn/distant-memory.ts";
import type { GatedUnitConfig } from "../../src/nn/gated-attention-unit.ts";
import { rope, weighedSum } from "./plain-attention.ts";
import { fading, meanWeights, plainRate } from "./plain-memory.ts";
import { type Id, Tape } from "./tape.ts";

export interface PlainUnit extends Required<Omit<GatedUnitConfig, "width" | "gamma" | "outputMaps">> {
  readonly causal: boolean;
  /** Quad is the unit with attention over the whole sequence; the others are FLASH and its two halves. */
  readonly attention: "quad" | "mixed" | "local" | "global";
  /** What the distant half keeps of other chunks; default: their sum. */
  readonly memory?: MemoryConfig;
  /** n of the scores and the bias: maxLength of quad, else the chunk; below 512. */
  readonly span: number;
}

type Values = Readonly<Record<string, Float32Array>>;

/**
 * y and "d <name>" of x [B, T, d] and of every parameter. `values` holds them, and the mask [B, T] where there is one;
 * `numbers` [B, T] are those of documents that do not see each other.
 */
export function plainGatedUnit(
  config: PlainUnit,
  { B, T, d, numbers }: { B: number; T: number; d: number; numbers?: Int32Array },
  { mask, ...values }: Values,
  cotangent: Float32Array,
  observe?: (seen: PlainSeen) => void,
): Record<string, Float64Array> {
  const tape = new Tape();
  const zero = tape.leaf(0); // parent of those that have none
  const ids = Object.fromEntries(Object.entries(values).map(([name, data]) => [name, tape.leaves(data)]));
  const y: Id[] = [];
  for (let b = 0; b < B; b++) {
    const isReal = (t: number) => mask === undefined || mask[b * T + t] === 1;
    const rows = Array.from({ length: T }, (_, t) => ids.x.slice((b * T + t) * d, (b * T + t + 1) * d));
    const documentOf = (t: number) => numbers?.[b * T + t];
    y.push(...oneSequence(new Unit(tape, zero, ids, config), rows, { isReal, documentOf, observe }).flat());
  }
  const gradients = tape.gradients(y, cotangent);
  const named = Object.entries(ids).map(([name, list]) => [
    `d ${name}`,
    Float64Array.from(list, (id) => gradients[id]),
  ]);
  return { y: Float64Array.from(y, (id) => tape.value(id)), ...Object.fromEntries(named) };
}

interface Tokens {
  isReal(t: number): boolean;
  /** Undefined where there are none. */
  documentOf(t: number): number | undefined;
  observe?: ((seen: PlainSeen) => void) | undefined;
}

/** What the attention of the token at t sees. */
export interface PlainSeen {
  readonly t: number;
  /** The tokens that it attends to exactly, and their weights. */
  readonly near: readonly number[];
  readonly weights: readonly number[];
  /** [e]: what either half adds. */
  readonly local: readonly number[];
  readonly distant: readonly number[];
}

function oneSequence(unit: Unit, x: Id[][], { isReal, documentOf, observe }: Tokens): Id[][] {
  const { tape, zero } = unit;
  const { expanded: e, shared: s, gate, tokenShift, attention, causal, span } = unit.config;
  const [T, d] = [x.length, x[0].length];
  const documentOfAll = x.map((_, t) => documentOf(t));
  const placeOf = (t: number) => t - documentOfAll.indexOf(documentOf(t));
  // A constant of the graph, rounded once; or computed there, from the length of a document.
  const linearScale = (t: number) => {
    const length = documentOfAll.filter((document) => document === documentOf(t)).length;
    const constant = causal || documentOf(t) === undefined;
    return constant ? Math.fround(1 / (causal ? span : T)) : 1 / length;
  };
  const normal = x.map((row) => unit.norm(row));
  const shifted = normal.map((row, t) =>
    row.map((id, a) => {
      if (!tokenShift || a >= d / 2) return id;
      return placeOf(t) > 0 && isReal(t - 1) ? normal[t - 1][a] : zero;
    }),
  );
  const hidden = shifted.map((row) =>
    unit.linear("hidden", row, (gate ? 2 * e : e) + s).map((id) => {
      const sigmoid = tape.power(tape.affine(tape.exp(tape.affine(id, -1)), 1, 1), -1);
      return tape.mul(id, sigmoid);
    }),
  );
  const v = hidden.map((row) => row.slice(-e - s, -s));
  const head = (h: number) => hidden.map((row, t) => unit.head(h, row.slice(-s), placeOf(t)));
  const quadratic = attention === "global" ? undefined : { q: head(0), k: head(1) };
  const first = attention === "mixed" ? 2 : 0;
  const linear = attention === "mixed" || attention === "global" ? { q: head(first), k: head(first + 1) } : undefined;
  const chunkOf = (t: number) => (attention === "quad" ? 0 : Math.floor(t / span));
  const seen = (t: number) =>
    Array.from({ length: T }, (_, j) => j).filter(
      (j) => isReal(j) && documentOf(j) === documentOf(t) && (!causal || j <= t),
    );

  const memory = unit.config.memory ?? { memory: "sum", halfLives: [1, 1] };
  const isMean = linear && memory.memory !== "sum";
  const z = hidden.map((row) => row.slice(-s));
  // Fixed decays pass padding as they pass tokens; gates are those of tokens alone.
  const counts = (t: number) => memory.memory !== "gated" || isReal(t);
  const rates = isMean
    ? plainRates(unit, memory, z, T + span).map((row, t) => (t < T && !counts(t) ? [] : row))
    : undefined;
  const faded = rates && fading(tape, rates, span);

  return x.map((row, t) => {
    const near = quadratic ? seen(t).filter((j) => chunkOf(j) === chunkOf(t)) : [];
    const far = linear ? seen(t).filter((j) => !causal || chunkOf(j) < chunkOf(t)) : [];
    const weights = [
      ...(quadratic
        ? unit.weights(
            near.map((j) => tape.dot(quadratic.q[t], quadratic.k[j])),
            near.map((j) => j - t),
          )
        : []),
      ...(linear && !faded ? far.map((j) => tape.affine(tape.dot(linear.q[t], linear.k[j]), linearScale(t))) : []),
      ...(linear && faded ? meanWeights(tape, { t, far, ...linear, faded, chunk: span, bidirectional: !causal }) : []),
    ];
    const values = [...near, ...far].map((j) => v[j]);
    const sum = (from: number, to: number) =>
      v[t].map((_, a) => {
        const parts = weights.slice(from, to).map((id, i) => tape.value(id) * tape.value(values[from + i][a]));
        return parts.reduce((all, part) => all + part, 0);
      });
    observe?.({
      ...{ t, near, weights: weights.slice(0, near.length).map((id) => tape.value(id)) },
      ...{ local: sum(0, near.length), distant: sum(near.length, weights.length) },
    });
    const attended = values.length === 0 ? v[t].map(() => zero) : weighedSum(tape, weights, values);
    const out = gate ? attended.map((id, a) => tape.mul(id, hidden[t][a])) : attended;
    return unit.linear("out", out, d).map((id, a) => tape.add(row[a], id));
  });
}

/** By how much each token lets what is before it fade, [T][s]: none where it is padding; z [T][s]. */
function plainRates({ tape, zero, parameter, config }: Unit, memory: MemoryConfig, z: Id[][], T: number): Id[][] {
  const pairs = config.shared / 2;
  const decided = (i: number, row: Id[]) =>
    tape.sum(row.map((id, a) => tape.mul(id, parameter("decay.weight")[a * pairs + i])));
  return Array.from({ length: T }, (_, t) => {
    const row = z[t];
    const each = Array.from({ length: pairs }, (_, i) => {
      const id = memory.memory === "gated" && row ? decided(i, row) : zero;
      return plainRate(tape, memory, { i, pairs, chunk: config.span, offset: parameter("decay.offset")?.[i], id });
    });
    return [...each, ...each];
  });
}

/** The pieces of one layer, by the names of its parameters. */
class Unit {
  readonly tape: Tape;
  readonly zero: Id;
  readonly config: PlainUnit;
  readonly #ids: Readonly<Record<string, Id[]>>;
  constructor(tape: Tape, zero: Id, ids: Readonly<Record<string, Id[]>>, config: PlainUnit) {
    this.tape = tape;
    this.zero = zero;
    this.config = config;
    this.#ids = ids;
  }

  readonly parameter = (name: string): Id[] => this.#ids[name];

  linear(name: string, row: Id[], outputs: number): Id[] {
    const { tape } = this;
    const [weight, bias] = [this.#ids[`${name}.weight`], this.#ids[`${name}.bias`]];
    return Array.from({ length: outputs }, (_, j) =>
      row.reduce((sum, id, i) => tape.add(sum, tape.mul(id, weight[i * outputs + j])), bias[j]),
    );
  }

  norm(row: Id[]): Id[] {
    const { tape } = this;
    const mean = (of: Id[]) => tape.affine(tape.sum(of), 1 / of.length);
    const isLayer = this.config.norm === "layer";
    const centred = isLayer ? row.map((id) => tape.add(id, tape.affine(mean(row), -1))) : row;
    const inverse = tape.power(tape.affine(mean(centred.map((id) => tape.mul(id, id))), 1, Math.fround(1e-5)), -0.5);
    const [gain, bias] = [this.#ids["norm.gain"], this.#ids["norm.bias"]];
    return centred.map((id, a) => {
      const scaled = tape.mul(tape.mul(id, inverse), gain[isLayer ? a : 0]);
      return isLayer ? tape.add(scaled, bias[a]) : scaled;
    });
  }

  /** Query or key number h of the token at position t. */
  head(h: number, z: Id[], t: number): Id[] {
    const { tape } = this;
    const [gamma, beta] = [this.#ids["heads.gamma"], this.#ids["heads.beta"]];
    const own = z.map((id, a) => tape.add(tape.mul(id, gamma[h * z.length + a]), beta[h * z.length + a]));
    return rope(tape, own, t);
  }

  /** Of one query's products with the keys that it sees, which stand at these offsets from it. */
  weights(products: Id[], offsets: number[]): Id[] {
    const { tape, config } = this;
    const { attentionFunction, span, shared } = config;
    const scale = Math.fround(attentionFunction === "softmax" ? shared ** -0.5 : 1 / span);
    const scores = products.map((id, i) =>
      tape.add(tape.affine(id, scale), this.#ids["bias.weight"][offsets[i] + span - 1]),
    );
    if (scores.length === 0) return [];
    if (attentionFunction === "softmax") return tape.softmax(scores);
    if (attentionFunction === "relu2") return scores.map((id) => tape.power(tape.largest([id, this.zero]), 2));
    const [mu, sigma] = [Math.sqrt(1 / 2), Math.sqrt(1 / (4 * Math.PI))];
    const root = 1 / (sigma * Math.SQRT2);
    const [factor, offset] = [root, -mu * root].map(Math.fround);
    return scores.map((id) => tape.affine(tape.erf(tape.affine(id, factor, offset)), 0.5, 0.5));
  }
}
