/** Every multi-head attention by the name that its plain sibling has. */
import type { Tensor } from "../../src/graph/tensor.ts";
import { combinerAttention } from "../../src/nn/combiner-attention.ts";
import { favorAttention } from "../../src/nn/favor-attention.ts";
import type { Layer } from "../../src/nn/layer.ts";
import { mixedChunkSoftmaxAttention } from "../../src/nn/mixed-chunk-softmax-attention.ts";
import type { ChunkedHeadsConfig } from "../../src/nn/multi-head.ts";
import { softmaxAttention } from "../../src/nn/softmax-attention.ts";
import { type Kind, LEARNED } from "./plain-attention.ts";

export const kinds: readonly Kind[] = [
  "softmax",
  "softmax-rope",
  "mixed-chunk",
  "mixed-chunk-learned",
  "favor",
  "combiner",
];

/** features [m, w] of favor, whose running sums have chunks of the same size. */
export function attentionOf(kind: Kind, config: ChunkedHeadsConfig & { readonly features: Tensor }): Layer {
  switch (kind) {
    case "softmax":
      return softmaxAttention({ ...config, rotary: false });
    case "softmax-rope":
      return softmaxAttention({ ...config, rotary: true });
    case "mixed-chunk":
      return mixedChunkSoftmaxAttention(config);
    case "mixed-chunk-learned":
      return mixedChunkSoftmaxAttention({ ...config, memory: LEARNED });
    case "favor":
      return favorAttention({ ...config, sumChunk: config.chunk });
    case "combiner":
      return combinerAttention(config);
  }
}
