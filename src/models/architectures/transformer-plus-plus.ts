/** Transformer++ (Hua, Dai, Liu, Le 2022, section 4): the Transformer with RoPE and a gated network. */
import { softmaxTransformer } from "./transformer-frame.ts";

export const transformerPlusPlus = softmaxTransformer({
  name: "transformer++",
  label: "Transformer++",
  description: "softmax attention, GEGLU network, RoPE: what FLASH is compared with",
  look: { light: "#0063a5", dark: "#6cb6ff", symbol: "triangle", dashes: "none" },
  rotary: true,
  gated: true,
});
