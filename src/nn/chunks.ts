/** A sequence divided into G = ceil(T / C) chunks of C tokens, and back. */
import type { Tensor } from "../graph/tensor.ts";

/** [B, …, T, w] -> [B, …, G, C, w], with zeros after the last token. */
export function inChunks(t: Tensor, C: number): Tensor {
  const [T, w] = t.shape.slice(-2);
  const G = Math.ceil(T / C);
  return t.pad(-2, 0, G * C - T).reshape([...t.shape.slice(0, -2), G, C, w]);
}

/** The first T tokens of chunks [B, …, G, C, w]: [B, …, T, w]. */
export function outOfChunks(t: Tensor, T: number): Tensor {
  const [G, C, w] = t.shape.slice(-3);
  return t.reshape([...t.shape.slice(0, -3), G * C, w]).slice(-2, 0, T);
}
