/** Places and turns: in the order in which they were asked for, also when somebody leaves the queue. */
import { expect, it } from "vitest";
import { Lane } from "../../service/lane.ts";
import { sizesFor } from "./batch.ts";
import { Places } from "./places.ts";

const { signal } = new AbortController();

it("gives places in order, many before few that came later", async () => {
  const places = new Places(3);
  const order: string[] = [];
  await places.take(2, signal);
  const many = places.take(3, signal).then(() => order.push("many"));
  const few = places.take(1, signal).then(() => order.push("few"));
  expect(places.waiting).toBe(2);
  await Promise.resolve();
  expect(order).toEqual([]);
  places.giveBack(2);
  await many;
  expect(order).toEqual(["many"]);
  places.giveBack(3);
  await few;
  expect([order, places.waiting]).toEqual([["many", "few"], 0]);
});

it("lets those behind in when the first leaves the queue", async () => {
  const places = new Places(2);
  await places.take(1, signal);
  const leaving = new AbortController();
  const first = places.take(2, leaving.signal);
  const second = places.take(1, signal);
  leaving.abort(new Error("left"));
  await expect(first).rejects.toThrow("left");
  await second;
  await expect(places.take(1, leaving.signal)).rejects.toThrow("left");
  places.giveBack(1);
  places.giveBack(1);
  await places.take(2, leaving.signal.aborted ? signal : leaving.signal);
});

it("does one thing at a time, in order, and goes on after a failure", async () => {
  const lane = new Lane();
  const order: number[] = [];
  const work = (n: number) => async () => {
    await new Promise((resolve) => setTimeout(resolve, 5 - n));
    order.push(n);
    if (n === 2) throw new Error("two");
    return n;
  };
  const all = await Promise.allSettled([1, 2, 3].map((n) => lane.run(work(n))));
  expect(order).toEqual([1, 2, 3]);
  expect(all.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
});

it.each([
  [1, false, [1]],
  [1, true, [1]],
  [2, false, [1, 4]],
  [3, true, [4]],
  [4, false, [1, 4]],
  [8, false, [1, 4, 8]],
  [9, false, [1, 4, 8, 16]],
  [9, true, [16]],
])("has batches for %i texts, exact: %s", (most, exact, sizes) => {
  expect(sizesFor(most, exact)).toEqual(sizes);
});
