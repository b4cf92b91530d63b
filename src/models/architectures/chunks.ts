/** What the records of architectures with chunks share: which contexts fit a chunk, and ablations of its size. */
import type { Ablation } from "../architecture.ts";

/** Why a model with chunks of this size cannot be trained in a context, if so. */
export function chunkProblem(chunk: number, context: number): string | undefined {
  return chunk > context
    ? `chunk ${chunk} does not fit a context of ${context}: choose a chunk of at most the context`
    : undefined;
}

const chunkOf = (chunk: number): Ablation => ({ fields: { chunk }, description: `Chunks of ${chunk} tokens.` });

export const chunkAblations = {
  "chunk-64": chunkOf(64),
  "chunk-128": chunkOf(128),
  "chunk-256": chunkOf(256),
  "chunk-512": chunkOf(512),
  "chunk-1024": chunkOf(1024),
} as const;
