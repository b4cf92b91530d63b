/** Of the studio's interface (api.ts): the playground, in which a model writes, reads and fills. */
import type { RunQuery } from "./api-runs.ts";

export interface ModelFacts {
  readonly run: string;
  readonly objective: "causal" | "masked";
  readonly architecture: string;
  readonly step: number;
  readonly vocabSize: number;
  /** Of training. */
  readonly context: number;
  /** The longest text that it can read; null: no limit. */
  readonly maxLength: number | null;
  readonly layers: number;
  /** Whether POST /api/attention has something to say of it. */
  readonly attention: boolean;
}

/** A token that could come, or that came. */
export interface Alternative {
  readonly id: number;
  /** Bytes that are no whole character stand as `bytes:\x..`; ends of text as <|endoftext|>. */
  readonly text: string;
  /** Under the model, before temperature and cut-offs: 0 to 1. */
  readonly probability: number;
}

/** The first token of a text comes after nothing: it has no probability (null), rank, entropy or alternatives. */
export interface TextToken {
  readonly id: number;
  readonly text: string;
  readonly probability: number | null;
  /** 1: the likeliest. */
  readonly rank: number | null;
  /** Of the distribution that it came from, in bits. */
  readonly entropy: number | null;
  /** The likeliest tokens in its place, the likeliest first. */
  readonly alternatives: readonly Alternative[];
}

export interface TextRequest extends RunQuery {
  /** What is read, at most 16,384 tokens. May be empty: then the text begins with the token <|endoftext|>. */
  readonly prompt: string;
  /** How many alternatives each token has. Default 10, at most 100. */
  readonly top?: number;
}

export interface TextAnswer {
  /**
   * To be named when it is gone on with. Texts unused for longest are forgotten: then 404, and the text is to be read
   * again.
   */
  readonly text: string;
  readonly tokens: readonly TextToken[];
  /** What could come next. */
  readonly next: readonly Alternative[];
  /** Entropy of what could come next, in bits. */
  readonly entropy: number;
}

export interface WriteRequest {
  readonly text: string;
  /** Tokens of the text to keep, the prompt's included; those after are taken back. Default: all. */
  readonly keep?: number;
  /** A token to put after those first, such as an alternative that was clicked. */
  readonly token?: number;
  /** How many more the model writes. Default 0. */
  readonly count?: number;
  readonly top?: number;
  readonly seed?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly typicalP?: number;
  readonly repetitionPenalty?: number;
}

export type WriteEvent =
  /** `at`: its index in the text. */
  | { readonly type: "token"; readonly at: number; readonly token: TextToken }
  | {
      readonly type: "end";
      /** end: the model ended the text; count: all were written; cancelled: asked to stop. */
      readonly reason: "end" | "count" | "cancelled";
      readonly length: number;
      readonly next: readonly Alternative[];
      readonly entropy: number;
      readonly tokensPerSecond: number;
    }
  | { readonly type: "error"; readonly error: string };

export interface AttentionRequest {
  readonly text: string;
  /** Index of the token in the text that looks back. */
  readonly position: number;
}

export interface Attention {
  readonly position: number;
  /** Index in the text of the first token that the exact attention can see (the start of its chunk). */
  readonly start: number;
  /** Tokens of the chunk up to the position, in order: weights are of these. */
  readonly tokens: readonly { readonly id: number; readonly text: string }[];
  /** Tokens of a chunk; null: attention to the whole text. */
  readonly chunk: number | null;
  readonly layers: readonly AttentionOfLayer[];
}

export interface AttentionOfLayer {
  /**
   * One row for each head (the gated unit has one): weights of `tokens`; relu2 gives any number of 0 or more, softmax
   * sums to 1.
   */
  readonly heads: readonly (readonly number[])[];
  /** Euclidean norms of what the exact and the distant half each add to the output at the position. */
  readonly localNorm: number;
  /** null: the layer has no distant half. */
  readonly distantNorm: number | null;
  /** localNorm / (localNorm + distantNorm); 1 without a distant half; null where both are 0. */
  readonly localShare: number | null;
}

export interface FillRequest extends RunQuery {
  /** With [MASK] at each blank. */
  readonly text: string;
  readonly topK?: number;
}

export interface FillAnswer {
  /** With the likeliest token in each blank. */
  readonly text: string;
  readonly blanks: readonly (readonly Alternative[])[];
}

export interface ScoreRequest extends RunQuery {
  readonly text: string;
}

export type ScoreEvent =
  /** Tokens in order: the text of each and its surprise in bits. U+FFFD stands for parts of characters. */
  | {
      readonly type: "tokens";
      /** Index of the first. */
      readonly from: number;
      readonly texts: readonly string[];
      readonly bits: readonly number[];
    }
  | {
      readonly type: "end";
      readonly tokens: number;
      readonly bytes: number;
      readonly bits: number;
      readonly perplexity: number;
      readonly bitsPerByte: number;
      /** In ranges that double in length: perplexity against position. */
      readonly byPosition: readonly { readonly from: number; readonly to: number; readonly perplexity: number }[];
      /** Tokens of a window, each of which began anew; null: read whole. */
      readonly window: number | null;
    }
  | { readonly type: "error"; readonly error: string };
