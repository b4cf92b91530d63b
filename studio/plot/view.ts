/** Which part of the x axis is seen: a window that is zoomed and panned, on a linear or a logarithmic axis. */

export interface Range {
  readonly from: number;
  readonly to: number;
}

/** A window of `range` seen through `factor` times its width, with `around` (a share of the width) staying in place. */
export function zoomed(range: Range, factor: number, around: number, log: boolean): Range {
  const { from, to } = onLine(range, log);
  const fixed = from + (to - from) * around;
  return offLine({ from: fixed + (from - fixed) * factor, to: fixed + (to - fixed) * factor }, log);
}

/** Moved by a share of its width, to the right where it is positive. */
export function panned(range: Range, share: number, log: boolean): Range {
  const { from, to } = onLine(range, log);
  const by = (to - from) * share;
  return offLine({ from: from + by, to: to + by }, log);
}

/** The same width inside `whole`; `whole` itself where it is as wide or wider. */
export function inside(range: Range, whole: Range, log: boolean): Range {
  const outer = onLine(whole, log);
  const { from, to } = onLine(range, log);
  const width = to - from;
  if (!(width < outer.to - outer.from)) return whole;
  const start = Math.min(Math.max(from, outer.from), outer.to - width);
  return offLine({ from: start, to: start + width }, log);
}

/** Whether a window is worth zooming into further: doubles end somewhere. */
export function isWide({ from, to }: Range): boolean {
  return to - from > Math.max(Math.abs(to), Math.abs(from)) * 1e-9;
}

function onLine(range: Range, log: boolean): Range {
  return log ? { from: Math.log(range.from), to: Math.log(range.to) } : range;
}

function offLine(range: Range, log: boolean): Range {
  return log ? { from: Math.exp(range.from), to: Math.exp(range.to) } : range;
}
