/**
 * The whole state after a step or after closing a span, in the graph: for devices on which it stays, and for graphs that
 * others run. On a CPU the host writes new rows in place instead, which moves kilobytes (generate/state.ts).
 */
import type { Tensor } from "../graph/tensor.ts";
import type { Recurrence, StateEntry, Tensors } from "./layer.ts";
import { range } from "./new-tokens.ts";

/** Where the new rows go: the first row [B] float32, by what adds rows, and how many [B] of those given. */
export interface RowPlaces {
  readonly first: Readonly<Record<Exclude<StateEntry["change"], "replaced">, Tensor>>;
  readonly count: Tensor;
}

/** The new value of every entry that changed: `changed` holds what Stepped.state or Recurrence.close says. */
export function storedState(
  { state: entries }: Pick<Recurrence, "state">,
  { before, changed }: { readonly before: Tensors; readonly changed: Tensors },
  places: RowPlaces,
): Tensors {
  return Object.fromEntries(
    Object.entries(changed).map(([name, given]) => {
      const { change } = entries[name];
      const old = before[name];
      if (change !== "replaced")
        return [name, withRows(old, given, { first: places.first[change], count: places.count })];
      const [B] = old.shape;
      const unchanged = places.count.equal(0).reshape([B, ...old.shape.slice(1).map(() => 1)]);
      return [name, unchanged.where(old, given)];
    }),
  );
}

/** old [B, …, n, w] with the first `count` [B] of rows [B, …, P, w] from row `first` [B] on. */
function withRows(
  old: Tensor,
  rows: Tensor,
  { first, count }: { readonly first: Tensor; readonly count: Tensor },
): Tensor {
  const [B] = old.shape;
  const n = old.shape[old.rank - 2];
  const P = rows.shape[rows.rank - 2];
  const leading = new Array<number>(old.rank - 3).fill(1);
  const source = range(n)
    .reshape([1, n, 1])
    .sub(first.reshape([B, 1, 1])); // [B, n, 1]: the new row that lands in row n
  const own = range(P).reshape([1, 1, P]);
  const chosen = source
    .equal(own)
    .and(own.less(count.reshape([B, 1, 1])))
    .cast("float32"); // [B, n, P]
  const isNew = chosen.constant(0).less(chosen.sum([2])); // [B, n, 1]
  const placed = chosen.reshape([B, ...leading, n, P]).matmul(rows);
  return isNew.reshape([B, ...leading, n, 1]).where(placed, old);
}
