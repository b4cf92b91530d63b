/** Transformer+ (Hua, Dai, Liu, Le 2022, section 4): the Transformer with RoPE. */
import { softmaxTransformer } from "./transformer-frame.ts";

export const transformerPlus = softmaxTransformer({
  name: "transformer+",
  label: "Transformer+",
  description: "softmax attention, GELU network, RoPE",
  look: { light: "#3a8fc4", dark: "#96d0ff", symbol: "diamond", dashes: "2 3" },
  rotary: true,
  gated: false,
});
