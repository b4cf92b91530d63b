/** A long sequence of token ids that is read in windows: from memory here, from shards on disk in shards.node.ts. */
import { LonghandError } from "../base/errors.ts";

export interface TokenSequence {
  /** Number of tokens. */
  readonly tokens: number;
  /** Copies tokens offset … offset + length - 1 to the start of `out`. A range outside the sequence is a data error. */
  read(offset: number, length: number, out: Int32Array): void;
}

/** Throws "data" unless offset … offset + length - 1 lies in the sequence and fits `out`. */
export function requireRange(sequence: TokenSequence, offset: number, length: number, out: Int32Array): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!whole || offset + length > sequence.tokens || length > out.length) {
    throw new LonghandError(
      "data",
      `read: ${length} tokens from ${offset} into ${out.length} places do not fit a sequence of ${sequence.tokens} tokens`,
    );
  }
}

/** A sequence over ids in memory, not copied. */
export function tokensInMemory(ids: Int32Array): TokenSequence {
  return {
    tokens: ids.length,
    read(offset, length, out) {
      requireRange(this, offset, length, out);
      out.set(ids.subarray(offset, offset + length));
    },
  };
}

/** Tokens start … end - 1 of a sequence, as a sequence of its own. */
export function sliceTokens(sequence: TokenSequence, start: number, end: number): TokenSequence {
  if (
    !(Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end && end <= sequence.tokens)
  ) {
    throw new LonghandError(
      "data",
      `slice: ${start} to ${end} is not a range of a sequence of ${sequence.tokens} tokens`,
    );
  }
  return {
    tokens: end - start,
    read(offset, length, out) {
      requireRange(this, offset, length, out);
      sequence.read(start + offset, length, out);
    },
  };
}

/** A sequence with one token before it. */
export function precededBy(token: number, sequence: TokenSequence): TokenSequence {
  return {
    tokens: sequence.tokens + 1,
    read(offset, length, out) {
      requireRange(this, offset, length, out);
      if (length === 0) return;
      if (offset > 0) return sequence.read(offset - 1, length, out);
      sequence.read(0, length - 1, out.subarray(1));
      out[0] = token;
    },
  };
}

export interface HeldOutSplit {
  readonly train: TokenSequence;
  readonly heldOut: TokenSequence;
  /** Where the held-out part begins, in tokens of the whole sequence. */
  readonly at: number;
}

/**
 * Keeps the last `fraction` (between 0 and 1) of the tokens for evaluation. With the ascending first tokens of the
 * documents given, the border moves to the nearest of them when that changes the held-out part by at most half its
 * size. Throws "usage" for another fraction, "data" when either part would be empty.
 */
export function splitHeldOut(
  sequence: TokenSequence,
  fraction: number,
  documentStarts: ArrayLike<number> = [],
): HeldOutSplit {
  if (!(fraction > 0 && fraction < 1)) {
    throw new LonghandError("usage", `held-out fraction: expected a number between 0 and 1, got ${fraction}`);
  }
  const held = Math.round(sequence.tokens * fraction);
  let at = sequence.tokens - held;
  let nearest: number | undefined;
  for (let i = 0; i < documentStarts.length; i++) {
    const start = documentStarts[i];
    if (start <= 0 || start >= sequence.tokens) continue;
    if (nearest === undefined || Math.abs(start - at) < Math.abs(nearest - at)) nearest = start;
  }
  if (nearest !== undefined && Math.abs(nearest - at) <= held / 2) at = nearest;
  if (at < 1 || at >= sequence.tokens) {
    throw new LonghandError(
      "data",
      `held-out fraction: ${fraction} of ${sequence.tokens} tokens leaves nothing to ${at < 1 ? "train on" : "hold out"}; give more text`,
    );
  }
  return { train: sliceTokens(sequence, 0, at), heldOut: sliceTokens(sequence, at, sequence.tokens), at };
}
