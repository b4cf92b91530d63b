/**
 * The plain sibling of what FLASH remembers of distant chunks: fading means over tokens, each weight by itself. Gradients
 * come from the tape.
 */
import type { MemoryConfig } from "../../src/nn/distant-memory.ts";
import type { Id, Tape } from "./tape.ts";

interface PlainRate {
  /** Number of the pair of dimensions, and how many there are. */
  readonly i: number;
  readonly pairs: number;
  readonly chunk: number;
  /** What is learned, and what a token asks for. */
  readonly offset: Id;
  readonly id: Id;
}

/** How fast one pair of dimensions fades, per chunk. Constants are rounded once, as the graph's are. */
export function plainRate(
  tape: Tape,
  { memory, halfLives }: MemoryConfig,
  { i, pairs, chunk, offset, id }: PlainRate,
): Id {
  const [shortest, longest] = halfLives;
  const halfLife = shortest * (longest / shortest) ** (pairs === 1 ? 1 : i / (pairs - 1));
  const start = Math.fround((chunk * Math.LN2) / halfLife);
  if (memory === "mean") return tape.leaf(0);
  if (memory === "decay") return tape.leaf(start);
  return tape.affine(tape.exp(tape.add(offset, id)), start);
}

/** By how much dimension r has faded over the tokens from … to - 1. */
type Fading = (from: number, to: number, r: number) => Id;

/**
 * Sums of the rates by which everything before each real token has faded when it is read, per chunk: [T][s], empty for
 * padding. Each sum is put on the tape once: the weights of many pairs of tokens hold it.
 */
export function fading(tape: Tape, rates: Id[][], chunk: number): Fading {
  const made = new Map<string, Id>();
  return (from, to, r) => {
    const key = `${from} ${to} ${r}`;
    const known = made.get(key);
    if (known !== undefined) return known;
    const sum = tape.sum([tape.leaf(0), ...rates.slice(from, to).flatMap((rate) => rate[r] ?? [])]);
    const id = tape.affine(sum, Math.fround(1 / chunk));
    made.set(key, id);
    return id;
  };
}

interface MeanRequest {
  readonly t: number;
  /** The tokens that it attends to. */
  readonly far: readonly number[];
  readonly q: Id[][];
  readonly k: Id[][];
  readonly faded: Fading;
  readonly chunk: number;
  /** Whether all tokens of the own chunk count alike: bidirectional. */
  readonly bidirectional: boolean;
}

/** Weights of the tokens `far` for token t: in each dimension of q and k a weighted mean over them. */
export function meanWeights(tape: Tape, { t, far, q, k, faded, chunk, bidirectional }: MeanRequest): Id[] {
  const chunkOf = (j: number) => Math.floor(j / chunk);
  const most = Math.fround(Math.log(16));
  const width = q[t].length;
  const weight = (j: number, r: number): Id => {
    const [own, other] = [chunkOf(t), chunkOf(j)];
    if (own === other && bidirectional) return tape.leaf(1);
    const [first, last] = [own, other].sort((a, b) => a - b);
    const nearer = other < own ? faded(j + 1, (other + 1) * chunk, r) : faded(other * chunk, j, r);
    const between = Array.from({ length: last - first - 1 }, (_, i) =>
      faded((first + 1 + i) * chunk, (first + 2 + i) * chunk, r),
    );
    const limited = between.map((id) => (tape.value(id) > most ? tape.leaf(most) : id));
    return tape.exp(tape.affine(tape.sum([nearer, ...limited]), -1));
  };
  const weights = far.map((j) => Array.from({ length: width }, (_, r) => weight(j, r)));
  const totals = q[t].map((_, r) => tape.sum([tape.leaf(0), ...weights.map((own) => own[r])]));
  return far.map((j, i) =>
    tape.sum(q[t].map((id, r) => tape.div(tape.mul(tape.mul(id, k[j][r]), weights[i][r]), totals[r]))),
  );
}
