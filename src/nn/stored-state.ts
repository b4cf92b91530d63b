/**
 * The whole state after a step or after closing a span, in the graph: for devices on which it stays, and for graphs that
 * others run. On a CPU the host writes new rows in place instead, which moves kilobytes (generate/state.ts).
 */
import type { Tensor } from "../graph/tensor.ts";
import type { Recurrence, StateEntry, Tensors } from "./layer.ts";
import { tokenPositions } from "./positions.ts";

/** Where the new rows go: the first row [B …] float32, by what adds rows, and how many [B …] of those given. */
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
      const batch = places.count.shape;
      const unchanged = places.count.equal(0).reshape([...batch, ...old.shape.slice(batch.length).map(() => 1)]);
      return [name, unchanged.where(old, given.reshape(old.shape))];
    }),
  );
}

/** old [B …, lead …, n, w] with the first `count` [B …] of rows [B …, lead …, P, w] from row `first` [B …] on. */
function withRows(
  old: Tensor,
  rows: Tensor,
  { first, count }: { readonly first: Tensor; readonly count: Tensor },
): Tensor {
  const [n, P] = [old, rows].map(({ shape }) => shape[shape.length - 2]);
  const batch = count.shape;
  const lead = old.shape.slice(batch.length, -2).map(() => 1);
  const [from, most] = [first, count].map((t) => t.reshape([...batch, ...lead, 1, 1]));
  const source = tokenPositions(n).reshape([n, 1]).sub(from); // [B …, lead …, n, 1]: the new row that lands in row n
  const own = tokenPositions(P);
  const chosen = source.equal(own).and(own.less(most)).cast("float32"); // [B …, lead …, n, P]
  const isNew = chosen.constant(0).less(chosen.sum([-1])); // [B …, lead …, n, 1]
  return isNew.where(chosen.matmul(rows), old);
}
