/** The Transformer (Vaswani et al. 2017), pre-norm: softmax attention and a GELU network, without RoPE. */
import { softmaxTransformer } from "./transformer-frame.ts";

export const transformer = softmaxTransformer({
  name: "transformer",
  label: "Transformer",
  description: "softmax attention, GELU network, absolute positions alone",
  look: { light: "#5b6770", dark: "#adb5bd", symbol: "cross", dashes: "8 3 2 3" },
  rotary: false,
  gated: false,
});
