/**
 * The Transformer block with every attention: decoding, token by token, in tiles or in whole chunks, is its training
 * form.
 */
import { describe, it } from "vitest";
import { attentionOf, kinds } from "../../test/support/attentions.ts";
import { expectRecurrentEqualsForward } from "../../test/support/recurrence.ts";
import { orthogonalFeatures } from "./favor-attention.ts";
import { softmaxAttention } from "./softmax-attention.ts";
import { transformerBlock } from "./transformer-block.ts";

const [width, heads, chunk] = [4, 2, 8];
const config = { width, heads, chunk, features: orthogonalFeatures(6, width / heads, 3, 0) };

describe.each(kinds)("a block with %s attention", (kind) => {
  const layer = transformerBlock({ attention: attentionOf(kind, config), ffn: 6, gated: kind !== "softmax" });

  it.each([1, 63, 257])("of %i tokens", (T) => {
    expectRecurrentEqualsForward({ name: kind, layer, width, rotaryWidth: width / heads }, T);
  });
});

it("heads of odd width work without RoPE", () => {
  const attention = softmaxAttention({ width: 6, heads: 2, rotary: false });
  const layer = transformerBlock({ attention, ffn: 8, gated: false });
  expectRecurrentEqualsForward({ name: "three wide", layer, width: 6, rotaryWidth: 0 }, 9);
});
