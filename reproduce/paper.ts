/**
 * What the paper reports (Hua, Dai, Liu, Le 2022, "Transformer Quality in Linear Time", arXiv 2202.10447), beside which
 * a reproduction is put. Its models have about 110 million parameters and train on TPUs with 2^18 tokens a step for
 * 125,000 steps: figures of a small model on a CPU can agree in direction, not in value.
 */

/** Of FLASH over Transformer++ in training, at the same perplexity, the most between contexts 512 and 8,192. */
export const paperSpeedUps = [
  { corpus: "Wiki-40B", objective: "causal", speedUp: 4.9, place: "abstract" },
  { corpus: "PG-19", objective: "causal", speedUp: 12.1, place: "abstract" },
  { corpus: "C4", objective: "masked", speedUp: 4.8, place: "abstract" },
];

export const paperPerplexities = [
  {
    corpus: "Wiki-40B",
    objective: "causal",
    context: 8192,
    flash: 15.109,
    transformerPlusPlus: 15.254,
    place: "experiments",
  },
  { corpus: "C4", objective: "masked", context: 8192, flash: 3.897, transformerPlusPlus: 3.933, place: "experiments" },
];

/** What the paper's ablations say, in words: its tables of figures were not at hand. */
export const paperAblations = [
  {
    claim: "Local attention matters more than global attention; both together are best.",
    place: "ablations",
  },
  { claim: "Chunks of 128 to 1,024 tokens differ little; the paper takes 256.", place: "ablations" },
  { claim: "With the gate, squared ReLU replaces softmax without loss.", place: "ablations" },
  {
    claim:
      "Going from the quadratic to mixed chunk attention costs a Transformer (MC-TFM++) more than a gated unit (FLASH).",
    place: "ablations",
  },
];

export const PAPER = "Hua, Dai, Liu, Le 2022, “Transformer Quality in Linear Time”, arXiv 2202.10447";
