/** A small model of any architecture, in which nothing starts so that it would hide what the layers compute. */
import { parseModelConfig } from "../../src/models/config.ts";
import { presetModel } from "../../src/models/presets.ts";

interface SmallModel {
  readonly context: number;
  readonly vocabSize: number;
  readonly causal: boolean;
}

/** Output maps that start at zero would hide what the layers compute, a small embedding would magnify rounding. */
export function smallModel(architecture: string, { context, ...own }: SmallModel) {
  const fields = presetModel(architecture, "nano", { context });
  return parseModelConfig({
    ...{ ...fields, width: 32, embedding: "scaled", head: "tied", outputMaps: "normal" },
    ...("chunk" in fields ? { chunk: 16 } : {}),
    ...("heads" in fields ? { ffn: 64 } : {}),
    ...own,
  });
}
