/**
 * Token shift (after B. Peng's RWKV, 2023; in this form in the community's FLASH): the first half of each token's
 * features are those of the token before it, so that a layer sees pairs of neighbouring tokens before any attention.
 * Always from the token before, in bidirectional models too.
 */
import type { Tensor } from "../graph/tensor.ts";
import type { Visibility } from "./visibility.ts";

export interface ShiftInputs {
  /** The first token of a document, and a token after padding, get zeros. */
  readonly visibility?: Visibility | undefined;
  /** [B, 1, d / 2] or [1, d / 2]: features that the first token takes over; default: zeros. */
  readonly previous?: Tensor | undefined;
}

interface Shifted {
  /** [B, T, d] */
  readonly shifted: Tensor;
  /** [B, T, d / 2]: the features that the token after each one takes over. */
  readonly forNext: Tensor;
}

/** x [B, T, d] */
export function shiftTokens(x: Tensor, { visibility, previous }: ShiftInputs): Shifted {
  const [T, d] = x.shape.slice(-2);
  const { mask, documents } = visibility ?? {};
  const [forNext, kept] = x.split(-1, [d / 2, d / 2]);
  const real = mask ? forNext.mul(mask.reshape([-1, T, 1])) : forNext;
  const first = previous?.reshape([...x.shape.slice(0, -2), 1, d / 2]);
  const all = first ? first.concat([real], -2) : real.pad(-2, 1, 0); // [B, 1 + T, d / 2]
  const taken = all.slice(-2, 0, T);
  const own = documents?.afterFirst(previous !== undefined); // the first document may go on from `previous`
  return { shifted: (own ? taken.mul(own) : taken).concat([kept], -1), forNext };
}
