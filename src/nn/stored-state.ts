/**
 * The whole state after a step or after closing a span, computed in the graph: for devices on which the state stays,
 * and for exported graphs. On a CPU the host writes the new rows in place instead, a few kilobytes (generate/state.ts).
 */
import type { Tensor } from "../graph/tensor.ts";
import type { Recurrence, Tensors } from "./layer.ts";
import type { WrittenRows } from "./new-tokens.ts";
import { tokenPositions } from "./positions.ts";

/** Where new rows go: after those written, and how many [B …] float32 are real. */
export interface RowPlaces {
  readonly written: WrittenRows;
  readonly count: Tensor;
}

/** The new value of every entry in `changed`, which is Stepped.state or the result of Recurrence.close. */
export function storedState(
  { state: entries }: Pick<Recurrence, "state">,
  { before, changed }: { readonly before: Tensors; readonly changed: Tensors },
  places: RowPlaces,
): Tensors {
  return Object.fromEntries(
    Object.entries(changed).map(([name, change]) => {
      const kind = entries[name].change;
      const old = before[name];
      if (kind !== "replaced")
        return [name, withRows(old, change, { first: places.written[kind], count: places.count })];
      const batch = places.count.shape;
      const unchanged = places.count.equal(0).reshape([...batch, ...old.shape.slice(batch.length).map(() => 1)]);
      return [name, unchanged.where(old, change.reshape(old.shape))];
    }),
  );
}

/** old [B …, lead …, n, w] with `count` [B …] of rows [B …, lead …, P, w] from `first` [B …] on. */
function withRows(
  old: Tensor,
  rows: Tensor,
  { first, count }: { readonly first: Tensor; readonly count: Tensor },
): Tensor {
  const [n, P] = [old, rows].map(({ shape }) => shape[shape.length - 2]);
  const batch = count.shape;
  const lead = old.shape.slice(batch.length, -2).map(() => 1);
  const [from, most] = [first, count].map((t) => t.reshape([...batch, ...lead, 1, 1]));
  const source = tokenPositions(n).reshape([n, 1]).sub(from); // [B …, lead …, n, 1]: which new row goes there
  const index = tokenPositions(P);
  const chosen = source.equal(index).and(index.less(most)).cast("float32"); // [B …, lead …, n, P]
  const isNew = chosen.constant(0).less(chosen.sum([-1])); // [B …, lead …, n, 1]
  return isNew.where(chosen.matmul(rows), old);
}
