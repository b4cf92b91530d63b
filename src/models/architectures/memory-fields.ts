/** What the records of FLASH and MC-TFM++ share: what the distant half of mixed chunk attention keeps, as fields. */
import { z } from "zod";
import { type MemoryConfig, memoryNames } from "../../nn/distant-memory.ts";
import { gammaNames } from "../../nn/gated-attention-unit.ts";
import type { Ablation, ModelSize } from "../architecture.ts";

export { memoryNames };

export const memoryFields = {
  memory: z
    .enum(memoryNames)
    .default("sum")
    .describe(
      "What the distant half keeps of earlier chunks: their sum (the paper's), their mean, a mean with fixed, learned or gated decays.",
    ),
  halfLives: z
    .tuple([z.number().positive(), z.number().positive()])
    .default([1, 1024])
    .describe("Tokens after which the fastest and the slowest decay of the memory have halved."),
};

/** Where the scales of queries and keys start, a field of every architecture that has them. */
export const gammaField = {
  gamma: z
    .enum(gammaNames)
    .default("ones")
    .describe("Where the scales of queries and keys start: at one, or at normal(0, 0.02) as in the paper's code."),
};

/**
 * What presets set; a configuration without these fields means the paper's sum. The slowest decay halves in one training
 * context: so a model meets in training about what it will meet in a text of any length.
 */
export function memoryPreset({ context }: ModelSize) {
  return { memory: "learned", halfLives: [1, context] } as const;
}

export function memoryConfig({ memory, halfLives: [shortest, longest] }: MemoryConfig): MemoryConfig {
  return { memory, halfLives: [shortest, longest] };
}

export function* memoryProblems({ halfLives: [shortest, longest] }: MemoryConfig): Iterable<readonly [string, string]> {
  if (longest < shortest) yield ["halfLives", "expected the shortest first"];
}

export const memoryAblations = {
  "memory-sum": { fields: { memory: "sum" }, description: "The paper's distant half: a sum that grows with the text." },
  "memory-mean": { fields: { memory: "mean" }, description: "The mean over all chunks before." },
  "memory-decay": { fields: { memory: "decay" }, description: "A mean with fixed decays." },
} as const satisfies Record<string, Ablation>;
