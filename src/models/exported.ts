/**
 * The programs of an exported model, for users who know nothing but its tokens: state in and state out as whole tensors, a
 * position as one number, spans closed where they end (docs/decisions/0046). Inputs besides parameters:
 * - `tokens` [P] int32; to score, `targets` [P] int32, the token after each; to fill, see fillingGraph;
 * - `position` [1] int32, from 0 to 2^24 - 1: how many tokens of the text came before;
 * - `state.LAYER.NAME`: the entries of the state of one text. At position 0 it is zeros.
 * Outputs: `logits` [V] after the last token or `losses` [P] in nats, and `new.LAYER.NAME`, which are the next state.LAYER.NAME;
 * entries without one stay as they are.
 */
import { inlined } from "../graph/inline.ts";
import { type Program, program } from "../graph/program.ts";
import { constant, input, scalar, type Tensor } from "../graph/tensor.ts";
import { crossEntropy } from "../nn/cross-entropy.ts";
import { type DecodingArchitecture, entryShape, newKey, type StepRequest } from "../nn/decoding.ts";
import { anglesAt, tokenPositions } from "../nn/positions.ts";
import { Scope } from "../nn/scope.ts";
import type { ModelConfig } from "./architecture.ts";
import { decodingArchitecture } from "./decoding.ts";
import { languageModel } from "./language-model.ts";
import { architectureOf } from "./registry.ts";

export interface ExportedGraph {
  readonly program: Program;
  /** What follows where `condition`, an output of the program, is true; see Branch in onnx/standalone.ts. */
  readonly branch?: {
    readonly condition: string;
    readonly program: Program;
    readonly otherwise: Readonly<Record<string, string>>;
  };
}

export const exportedNames = ["prefill", "decode", "score", "fill"] as const;
export type ExportedGraphs = Readonly<Partial<Record<(typeof exportedNames)[number], ExportedGraph>>>;

/** So many tokens are read at a time, or one span where that has more. */
const PREFILL_TOKENS = 256;
/** Blanks that are filled at a time. */
export const BLANKS = 16;

/**
 * The graphs of a model: prefill, decode and score; fill alone where it is bidirectional; score alone, of a window of
 * `context` tokens without a state, where the state would grow with the text.
 */
export function exportedGraphs(config: ModelConfig, context: number): ExportedGraphs {
  if (!config.causal) return { fill: { program: fillingProgram(config, context) } };
  const architecture = decodingInFixedState(config);
  if (architecture === undefined) return { score: { program: scoringProgram(config, context) } };
  return {
    prefill: readingGraph(architecture, "prefill", "last"),
    decode: decodingGraph(architecture),
    score: readingGraph(architecture, "score", "losses"),
  };
}

/** Tokens that prefill and score read at a time. */
export function exportedSpan({ span }: DecodingArchitecture): number {
  return span * Math.max(1, Math.floor(PREFILL_TOKENS / span));
}

/** How a causal model is decoded whose state has the same size at every position; undefined for others. */
export function decodingInFixedState(config: ModelConfig): DecodingArchitecture | undefined {
  const { layer } = architectureOf(config);
  const layers = Array.from({ length: config.layers }, (_, i) => layer(config, i));
  if (!config.causal || layers.some(({ recurrence }) => recurrence === undefined)) return undefined;
  const architecture = decodingArchitecture(config);
  const isFixed = [...architecture.state.values()].every(
    ({ change }) => change === "replaced" || change === "open-rows",
  );
  return isFixed && Number.isFinite(architecture.span) ? architecture : undefined;
}

const ROOM = { tokens: 0, spans: 0 } as const;
const ONE = { texts: 1, room: ROOM, whole: true } as const;

type Named = Readonly<Record<string, Tensor>>;

/** Whole spans at once, from a position that is a multiple of the span. */
function readingGraph(architecture: DecodingArchitecture, name: string, readout: "last" | "losses"): ExportedGraph {
  const { span, prefill, step } = architecture;
  const tokens = prefill ? exportedSpan(architecture) : span;
  const request: StepRequest = { ...ONE, tokens, readout, padded: false };
  const at = input("position", [1], "int32");
  const read = readAt(architecture, at, { request, program: (prefill ?? step)(request).program });
  const { result, ...state } = prefill ? read : { ...read, ...closed(architecture, read) };
  const output = readout === "last" ? { logits: result.reshape([result.size]) } : { losses: result };
  return { program: program(name, { ...output, ...state }) };
}

/** One token; if the span is full then, it is closed. */
function decodingGraph(architecture: DecodingArchitecture): ExportedGraph {
  const { span, step, close } = architecture;
  const request: StepRequest = { ...ONE, tokens: 1, readout: "last", padded: false };
  const at = input("position", [1], "int32");
  const { result, ...state } = readAt(architecture, at, { request, program: step(request).program });
  const logits = result.reshape([result.size]);
  if (close === undefined) return { program: program("decode", { logits, ...state }) };
  const closes = new Set(close(ONE).changed.map(({ key }) => newKey(key)));
  // An entry that closing changes is an output of the branch, and has another name before it.
  const before = (name: string) => (closes.has(name) ? `open.${name}` : name);
  const renamed = Object.entries(state).map(([name, tensor]) => [before(name), tensor] as const);
  const inputs = Object.entries(state).map(([name, { shape }]) => [name, input(before(name), shape)] as const);
  const isFull = remainder(at.add(1), span).equal(0);
  return {
    program: program("decode", { logits, ...Object.fromEntries(renamed), isFull }),
    branch: {
      condition: "isFull",
      program: program("close", closed(architecture, Object.fromEntries(inputs))),
      otherwise: Object.fromEntries([...closes].map((name) => [name, before(name)])),
    },
  };
}

interface Reading {
  readonly request: StepRequest;
  readonly program: Program;
}

/** The outputs of a program that reads tokens at a position [1] int32: `result`, and every entry of the state anew. */
function readAt(architecture: DecodingArchitecture, at: Tensor, { request, program }: Reading): Record<string, Tensor> {
  const { span, width, rotaryPairs } = architecture;
  const { tokens: P } = request;
  const state = [...architecture.state].map(([key, entry]) => {
    const given = input(key, entryShape(entry, 1, ROOM));
    const isStart = at.equal(0).reshape(given.shape.map(() => 1));
    return [key, entry.initial === 0 ? given : isStart.where(given.constant(entry.initial), given)] as const;
  });
  const open = remainder(at, span).cast("float32").reshape([]);
  const given: Record<string, Tensor> = { ...Object.fromEntries(state), open, count: open.constant(P) };
  for (const [name, half] of [
    ["position", width / 2],
    ["rotation", rotaryPairs],
  ] as const) {
    const cos = program.inputs.get(`${name}.cos`);
    if (cos === undefined || half === 0) continue;
    for (const [part, table] of Object.entries(anglesAt(at, P, half)))
      given[`${name}.${part}`] = table.reshape(cos.shape);
  }
  const tokens = program.inputs.get("tokens") as Tensor;
  given.tokens = input("tokens", [P], "int32").reshape(tokens.shape);
  const outputs = inlined(program, given);
  const unchanged = state.map(([key, tensor]) => [newKey(key), tensor] as const);
  return { ...Object.fromEntries(unchanged), ...outputs };
}

/** Those entries `new.LAYER.NAME` that closing a span changes, from all of them. */
function closed({ close, state }: DecodingArchitecture, before: Named): Record<string, Tensor> {
  if (close === undefined) return {};
  const entries = [...state.keys()].map((key) => [key, before[newKey(key)]] as const);
  return inlined(close(ONE).program, { ...Object.fromEntries(entries), count: scalar(1) });
}

/** Of whole numbers: of an infinite divisor, the dividend. */
function remainder(t: Tensor, divisor: number): Tensor {
  return Number.isFinite(divisor) ? t.sub(t.div(divisor).mul(divisor)) : t;
}

/** A window without a state: `tokens` and `targets` [T] -> `losses` [T]. */
function scoringProgram(config: ModelConfig, T: number): Program {
  const { finalStates, ...head } = languageModel(new Scope(), input("tokens", [T], "int32").reshape([1, T]), config);
  const x = finalStates.reshape([T, config.width]);
  const weights = constant(new Float32Array(T), [T]); // only for the weighted sum, which is not used
  const losses = crossEntropy({ x, ...head, targets: input("targets", [T], "int32"), weights }).perToken;
  return program("score", { losses });
}

/**
 * `tokens` [T] int32, of which the first `length` [1] int32 are text, and `blanks` [BLANKS] int32, indices of those to fill
 * in -> `logits` [BLANKS, V].
 */
function fillingProgram(config: ModelConfig, T: number): Program {
  const length = input("length", [1], "int32").cast("float32");
  const mask = tokenPositions(T).less(length).cast("float32").reshape([1, T]);
  const tokens = input("tokens", [T], "int32").reshape([1, T]);
  const { finalStates, table, bias } = languageModel(new Scope(), tokens, config, { mask });
  const rows = finalStates.reshape([T, config.width]).gather(input("blanks", [BLANKS], "int32"));
  return program("fill", { logits: rows.matmul(table.swapLast()).add(bias) });
}
