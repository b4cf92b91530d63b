/**
 * Token shift (after B. Peng's RWKV, 2023; in this form in the community's FLASH): the first half of each token's features
 * are those of the token before it, so that a layer sees pairs of neighbours before it attends to anything. One step back,
 * never forward, in models that look both ways as well.
 */
import type { Tensor } from "../graph/tensor.ts";
import type { Documents } from "./documents.ts";

/**
 * x [B, T, d] -> [B, T, d]. The first token has zeros, and so has a token after padding, mask [B, T] is 1 where a token is
 * real, and the first one of each document.
 */
export function shiftTokens(x: Tensor, mask?: Tensor, documents?: Documents): Tensor {
  const [B, T, d] = x.shape;
  const [own, rest] = x.split(2, [d / 2, d / 2]);
  const real = mask ? own.mul(mask.reshape([B, T, 1])) : own;
  const before = real.pad(1, 1, 0).slice(1, 0, T);
  return (documents ? before.mul(documents.afterFirst()) : before).concat([rest], 2);
}

/** The same for new tokens x [P, d] after a token whose first features were `before` [1, d / 2]. */
export function shiftAfter(before: Tensor, x: Tensor): { shifted: Tensor; own: Tensor } {
  const [P, d] = x.shape;
  const [own, rest] = x.split(1, [d / 2, d / 2]);
  const previous = P === 1 ? before : before.concat([own.slice(0, 0, P - 1)], 0);
  return { shifted: previous.concat([rest], 1), own };
}
