/**
 * The plain siblings of the multi-head attentions: their definitions as loops over tokens, without chunks of work, blocks
 * of products or fused anything. Gradients come from the tape.
 */
import type { MemoryConfig } from "../../src/nn/distant-memory.ts";
import { fading, meanWeights, plainRate } from "./plain-memory.ts";
import { type Id, Tape } from "./tape.ts";

export type Kind = "softmax" | "softmax-rope" | "mixed-chunk" | "mixed-chunk-learned" | "favor" | "combiner";

/** What the distant half of mixed-chunk-learned keeps. */
export const LEARNED: MemoryConfig = { memory: "learned", halfLives: [2, 30] };

export interface PlainOptions {
  readonly kind: Kind;
  readonly B: number;
  readonly T: number;
  readonly d: number;
  readonly heads: number;
  readonly chunk: number;
  readonly causal: boolean;
  /** FAVOR+'s features, [m, w]. */
  readonly omega: Float64Array;
  /** [B, T]: numbers of documents that do not see each other. */
  readonly numbers?: Int32Array | undefined;
}

type Values = Readonly<Record<string, Float32Array>>;

/** One head of one sequence: rows of w numbers, and which tokens are real. */
interface Head {
  readonly tape: Tape;
  readonly q: Id[][];
  readonly k: Id[][];
  readonly v: Id[][];
  readonly options: PlainOptions;
  isReal(token: number): boolean;
  documentOf(token: number): number;
}

/** y and "d <name>" of x and of every parameter. `values` holds them, and the mask where there is one. */
export function plainAttention(
  options: PlainOptions,
  { mask, ...values }: Values,
  cotangent: Float32Array,
): Record<string, Float64Array> {
  const { B, T, d, heads, kind, numbers } = options;
  const w = d / heads;
  const tape = new Tape();
  tape.leaf(0); // parent of those that have none
  const ids = Object.fromEntries(Object.entries(values).map(([name, data]) => [name, tape.leaves(data)]));
  const linear = (name: string, row: Id[]) =>
    Array.from({ length: d }, (_, j) =>
      row.reduce((sum, id, i) => tape.add(sum, tape.mul(id, ids[`${name}.weight`][i * d + j])), ids[`${name}.bias`][j]),
    );
  const y: Id[] = [];
  for (let b = 0; b < B; b++) {
    const rows = Array.from({ length: T }, (_, t) => ids.x.slice((b * T + t) * d, (b * T + t + 1) * d));
    const [q, k, v] = ["query", "key", "value"].map((name) => rows.map((row) => linear(name, row)));
    const documentOf = (t: number) => numbers?.[b * T + t] ?? 1;
    const documents = rows.map((_, t) => documentOf(t));
    const placeOf = (t: number) => t - documents.indexOf(documentOf(t));
    const found = rows.map((): Id[] => []);
    for (let h = 0; h < heads; h++) {
      const own = (side: Id[][]) => side.map((row) => row.slice(h * w, (h + 1) * w));
      const turned = (side: Id[][]) => (kind === "softmax" ? side : side.map((row, t) => rope(tape, row, placeOf(t))));
      const gammaBeta = (side: Id[][], i: number) => {
        const at = (i * heads + h) * w;
        return side.map((row) =>
          row.map((id, a) => tape.add(tape.mul(id, ids["heads.gamma"][at + a]), ids["heads.beta"][at + a])),
        );
      };
      const isReal = (t: number) => mask === undefined || mask[b * T + t] === 1;
      const head = { tape, v: own(v), options, isReal, documentOf };
      const result =
        kind === "mixed-chunk" || kind === "mixed-chunk-learned"
          ? mixedChunk(
              { ...head, q: turned(gammaBeta(own(q), 0)), k: turned(gammaBeta(own(k), 1)) },
              turned(gammaBeta(own(q), 2)),
              turned(gammaBeta(own(k), 3)),
              ids["decay.offset"]?.slice((h * w) / 2, ((h + 1) * w) / 2),
            )
          : { softmax, "softmax-rope": softmax, favor, combiner }[kind]({
              ...head,
              q: turned(own(q)),
              k: turned(own(k)),
            });
      for (const [t, row] of result.entries()) found[t].push(...row);
    }
    for (const row of found) y.push(...linear("attention_out", row));
  }
  const gradients = tape.gradients(y, cotangent);
  const named = Object.entries(ids).map(([name, list]) => [
    `d ${name}`,
    Float64Array.from(list, (id) => gradients[id]),
  ]);
  return { y: Float64Array.from(y, (id) => tape.value(id)), ...Object.fromEntries(named) };
}

/** Rotary positions of one row at position t, half-split; sines and cosines are rounded once, as in the table of angles. */
export function rope(tape: Tape, row: Id[], t: number): Id[] {
  const half = row.length / 2;
  return row.map((id, i) => {
    const angle = t * 10000 ** (-(i % half) / half);
    const [cos, sin] = [Math.fround(Math.cos(angle)), Math.fround(Math.sin(angle))];
    const partner = tape.affine(row[(i + half) % row.length], i < half ? -sin : sin);
    return tape.add(tape.affine(id, cos), partner);
  });
}

/** The tokens that token t may look at. */
function visible(head: Head, t: number): number[] {
  const { options, isReal } = head;
  return ofDocument(head, t).filter((j) => isReal(j) && (!options.causal || j <= t));
}

/** The tokens of token t's document. */
function ofDocument({ options, documentOf }: Head, t: number): number[] {
  return Array.from({ length: options.T }, (_, j) => j).filter((j) => documentOf(j) === documentOf(t));
}

/** What a token finds that sees nothing, being padding itself: no one asks. */
function nothing({ tape, v }: Head): Id[] {
  return v[0].map(() => tape.leaf(0));
}

const chunkOf = ({ options }: Head, t: number) => Math.floor(t / options.chunk);

export function weighedSum(tape: Tape, weights: Id[], rows: Id[][]): Id[] {
  return rows[0].map((_, a) =>
    tape.dot(
      weights,
      rows.map((row) => row[a]),
    ),
  );
}

function score(tape: Tape, q: Id[], k: Id[]): Id {
  return tape.affine(tape.dot(q, k), 1 / Math.sqrt(q.length));
}

function softmax(head: Head): Id[][] {
  const { tape, q, k, v } = head;
  return q.map((row, t) => {
    const seen = visible(head, t);
    if (seen.length === 0) return nothing(head);
    const weights = tape.softmax(seen.map((j) => score(tape, row, k[j])));
    return weighedSum(
      tape,
      weights,
      seen.map((j) => v[j]),
    );
  });
}

/** With the offsets of learned decays, [w / 2], the far tokens are a mean, else a sum. */
function mixedChunk(head: Head, lq: Id[][], lk: Id[][], offsets?: Id[]): Id[][] {
  const { tape, q, k, v, options } = head;
  const pairs = v[0].length / 2;
  const { chunk } = options;
  const each = offsets?.map((offset, i) => plainRate(tape, LEARNED, { i, pairs, chunk, offset, id: tape.leaf(0) }));
  const rates = each && Array.from({ length: options.T + chunk }, () => [...each, ...each]);
  const faded = rates && fading(tape, rates, chunk);
  return q.map((row, t) => {
    const own = chunkOf(head, t);
    const near = visible(head, t).filter((j) => chunkOf(head, j) === own);
    const far = visible(head, t).filter((j) => !options.causal || chunkOf(head, j) < own);
    if (near.length === 0) return nothing(head);
    const weights = tape.softmax(near.map((j) => score(tape, row, k[j])));
    const divisor = options.causal ? options.chunk : ofDocument(head, t).length;
    const linear = faded
      ? meanWeights(tape, { t, far, q: lq, k: lk, faded, chunk, bidirectional: !options.causal })
      : far.map((j) => tape.affine(tape.dot(lq[t], lk[j]), 1 / divisor));
    return weighedSum(
      tape,
      [...weights, ...linear],
      [...near, ...far].map((j) => v[j]),
    );
  });
}

function favor(head: Head): Id[][] {
  const { tape, q, k, v, options } = head;
  const [w, m] = [v[0].length, options.omega.length / v[0].length];
  const phi = (row: Id[]) => {
    const scaled = row.map((id) => tape.affine(id, w ** -0.25));
    const square = tape.affine(tape.dot(scaled, scaled), -0.5);
    return Array.from({ length: m }, (_, f) => {
      const projected = tape.sum(scaled.map((id, a) => tape.affine(id, options.omega[f * w + a])));
      return tape.affine(tape.exp(tape.add(projected, square)), 1 / Math.sqrt(m));
    });
  };
  const [phiQ, phiK] = [q.map(phi), k.map(phi)];
  return phiQ.map((row, t) => {
    const seen = visible(head, t);
    if (seen.length === 0) return nothing(head);
    const weights = seen.map((j) => tape.dot(row, phiK[j]));
    const sums = weighedSum(
      tape,
      weights,
      seen.map((j) => v[j]),
    );
    const total = tape.sum(weights);
    return sums.map((id) => tape.div(id, total));
  });
}

function combiner(head: Head): Id[][] {
  const { tape, q, k, v, options, isReal } = head;
  const { T, chunk, causal } = options;
  const summary = (own: number[]) => {
    if (own.length === 0) return undefined;
    const largest = (rows: Id[][]) => rows[0].map((_, a) => tape.largest(own.map((j) => rows[j][a])));
    const query = largest(q);
    const weights = tape.softmax(own.map((j) => score(tape, query, k[j])));
    const value = weighedSum(
      tape,
      weights,
      own.map((j) => v[j]),
    );
    return { key: largest(k), value };
  };
  const made = new Map<string, ReturnType<typeof summary>>(); // each once, as it is the same for all that see it
  const summaryOf = (own: number[]) => {
    const key = own.join();
    if (!made.has(key)) made.set(key, summary(own));
    return made.get(key);
  };
  return q.map((row, t) => {
    const tokens = ofDocument(head, t).filter((j) => isReal(j));
    const blocks = Array.from({ length: Math.ceil(T / chunk) }, (_, g) =>
      summaryOf(tokens.filter((j) => chunkOf(head, j) === g)),
    );
    const g = chunkOf(head, t);
    const near = visible(head, t).filter((j) => chunkOf(head, j) === g);
    const far = blocks.flatMap((block, other) => (block && other !== g && (!causal || other < g) ? [block] : []));
    if (near.length + far.length === 0) return nothing(head);
    const scores = [...near.map((j) => k[j]), ...far.map(({ key }) => key)].map((key) => score(tape, row, key));
    return weighedSum(tape, tape.softmax(scores), [...near.map((j) => v[j]), ...far.map(({ value }) => value)]);
  });
}
