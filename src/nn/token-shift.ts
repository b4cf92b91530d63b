/**
 * Token shift (after B. Peng's RWKV, 2023; in this form in the community's FLASH): the first half of each token's
 * features are those of the token before it, so that a layer sees pairs of neighbours before it attends to anything.
 * One step back, never forward, in bidirectional models as well.
 */
import type { Tensor } from "../graph/tensor.ts";
import type { Visibility } from "./visibility.ts";

export interface ShiftInputs {
  /** The first token of a document and one after padding get zeros. */
  readonly visibility?: Visibility | undefined;
  /** [B, 1, d / 2] or what reshapes to it: features that the first token takes over; default: zeros. */
  readonly before?: Tensor | undefined;
}

interface Shifted {
  /** [B, T, d] */
  readonly shifted: Tensor;
  /** [B, T, d / 2]: what each token has for the one after it. */
  readonly own: Tensor;
}

/** x [B, T, d] */
export function shiftTokens(x: Tensor, { visibility, before }: ShiftInputs): Shifted {
  const [T, d] = x.shape.slice(-2);
  const { mask, documents } = visibility ?? {};
  const [own, rest] = x.split(-1, [d / 2, d / 2]);
  const real = mask ? own.mul(mask.reshape([-1, T, 1])) : own;
  const first = before?.reshape([...x.shape.slice(0, -2), 1, d / 2]);
  const joined = first ? first.concat([real], -2) : real.pad(-2, 1, 0); // [B, 1 + T, d / 2]
  const previous = joined.slice(-2, 0, T);
  return { shifted: (documents ? previous.mul(documents.afterFirst()) : previous).concat([rest], -1), own };
}
