/**
 * Candidates for the blanks of a text, by masked prediction with a bidirectional model. All blanks of a window are
 * predicted at once, each as if the others stayed blank (Devlin, Chang, Lee, Toutanova 2018, "BERT"). A text longer
 * than the model's context is read in windows around its blanks.
 */
import { LonghandError } from "../base/errors.ts";
import { type Program, program } from "../graph/program.ts";
import { input, type Tensor } from "../graph/tensor.ts";
import type { ModelOutput } from "../nn/cross-entropy.ts";
import { Scope } from "../nn/scope.ts";
import type { Engine, HostArraysByName } from "../runtime/engine.ts";
import { firstByCount, idsOf, rankedKeys } from "./selection.ts";

/** A bidirectional model: tokens [1, T] to final hidden states [1, T, d] and the tied output map [V, d], [V]. */
type BlanksModel = (scope: Scope, tokens: Tensor) => ModelOutput;

interface BlanksRequest {
  readonly engine: Engine;
  readonly model: BlanksModel;
  readonly parameters: HostArraysByName;
  /** The text, with the mask token at each blank. */
  readonly tokens: Int32Array;
  /** Indices of the blanks, ascending. */
  readonly blanks: readonly number[];
  /** The most tokens that the model reads at once. */
  readonly context: number;
  /** Candidates for each blank. */
  readonly topK: number;
  /** Tokens that cannot be candidates: the special ones. */
  readonly excluded: readonly number[];
}

interface Candidate {
  readonly token: number;
  /** Among all tokens of the vocabulary. */
  readonly probability: number;
}

/** The most blanks whose logits are computed at once. */
const MOST_BLANKS = 16;

/** The likeliest tokens of each blank, the likeliest first. Throws "diverged" when logits are not finite. */
export async function fillBlanks(request: BlanksRequest): Promise<Candidate[][]> {
  const { engine, model, parameters, tokens, blanks, context } = request;
  const T = Math.min(context, tokens.length);
  const groups = groupBlanks(blanks, tokens.length, T);
  const most = Math.max(0, ...groups.map((group) => group.blanks.length));
  if (most === 0) return [];
  const compiled = await engine.compile(blanksProgram(model, T, most));
  try {
    const filled: Candidate[][] = [];
    for (const { start, blanks } of groups) {
      const indices = new Int32Array(most);
      indices.set(blanks.map((at) => at - start));
      const window = tokens.slice(start, start + T);
      const { logits } = await compiled.run({ ...parameters, tokens: window, blanks: indices });
      const V = logits.length / most;
      for (const i of blanks.keys()) {
        filled.push(likeliest(Float32Array.from(logits.subarray(i * V, (i + 1) * V)), request));
      }
    }
    return filled;
  } finally {
    await compiled.release();
  }
}

/** Inputs besides parameters: tokens [1, T] and blanks [R], int32. Output: logits [R, V]. */
function blanksProgram(model: BlanksModel, T: number, R: number): Program {
  const { finalStates, table, bias } = model(new Scope(), input("tokens", [1, T], "int32"));
  const rows = finalStates.reshape([T, finalStates.shape[2]]).gather(input("blanks", [R], "int32"));
  return program("blanks", { logits: rows.matmul(table.swapLast()).add(bias) });
}

/** Windows of T tokens, each centred on its first blank; following blanks well inside it share the window. */
export function groupBlanks(
  blanks: readonly number[],
  length: number,
  T: number,
): { readonly start: number; readonly blanks: number[] }[] {
  const groups: { start: number; blanks: number[] }[] = [];
  for (const at of blanks) {
    const start = Math.max(0, Math.min(at - (T >> 1), length - T));
    const last = groups.at(-1);
    const inside = last && (start === last.start || at - last.start <= (3 * T) >> 2);
    if (inside && last.blanks.length < MOST_BLANKS) last.blanks.push(at);
    else groups.push({ start, blanks: [at] });
  }
  return groups;
}

function likeliest(logits: Float32Array, { topK, excluded }: BlanksRequest): Candidate[] {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  if (!Number.isFinite(sum)) {
    throw new LonghandError("diverged", "logits: expected finite numbers; the model holds values that are not finite");
  }
  const probability = (id: number) => Math.exp(logits[id] - largest) / sum;
  const ids = idsOf(firstByCount(rankedKeys(logits), topK + excluded.length).sort());
  return Array.from(ids)
    .filter((id) => !excluded.includes(id))
    .slice(0, topK)
    .map((token) => ({ token, probability: probability(token) }));
}
