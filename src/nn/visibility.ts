/**
 * Who sees whom: causal or bidirectional, padding, and documents (segments) that lie side by side in a window.
 */
import type { Tensor } from "../graph/tensor.ts";
import type { Documents } from "./documents.ts";

/** Added to a score, it makes the weight exactly 0: after softmax, squared ReLU and Laplace function alike. */
export const HIDDEN = -1e30;

export interface VisibilityInputs {
  readonly causal: boolean;
  /** [B, T]: 1 where a token is real, 0 for padding; undefined when all are real. */
  readonly mask?: Tensor | undefined;
  /** Documents of a window that must not see each other; undefined: the window is one document. */
  readonly documents?: Documents | undefined;
}

export class Visibility {
  readonly causal: boolean;
  readonly mask: Tensor | undefined;
  readonly documents: Documents | undefined;

  constructor({ causal, mask, documents }: VisibilityInputs) {
    this.causal = causal;
    this.mask = mask;
    this.documents = documents;
  }
}
