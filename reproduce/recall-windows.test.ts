/** Made windows: the same from the same seed, with distances as asked, and answers that only the context tells. */
import { describe, expect, it } from "vitest";
import {
  CHANCE,
  PAIRS,
  RECALL_VOCABULARY,
  type RecallWindow,
  recallTaskNames,
  recallWindow,
} from "./recall-windows.ts";

const seed = 7;
const windows = (count: number, length = 256, distance?: number) =>
  Array.from({ length: count }, (_, example) => recallWindow({ seed, example, length, distance }));
const askedIn = ({ answers }: RecallWindow, wanted: string) => answers.filter(({ task }) => task === wanted);

describe("a made window", () => {
  it("is a function of seed and number", () => {
    const [one, other] = windows(2);
    expect(recallWindow({ seed, example: 0, length: 256 })).toEqual(one);
    expect(other.tokens).not.toEqual(one.tokens);
    expect(recallWindow({ seed: seed + 1, example: 0, length: 256 }).tokens).not.toEqual(one.tokens);
  });

  it("has its answers in the context, where they are found by what stands before them", () => {
    for (const { tokens, targets, answers } of [...windows(40), ...windows(10, 1024, 700)]) {
      expect(Math.max(...tokens)).toBeLessThan(RECALL_VOCABULARY);
      for (const { task, position, source } of answers) {
        expect(source).toBeLessThanOrEqual(position);
        expect(targets[position]).toBe(tokens[source]);
        if (task === "name") {
          // The only one of its kind: names are the first symbols.
          expect(tokens.filter((token) => token < 1 / CHANCE)).toEqual(Int32Array.of(targets[position]));
        } else {
          // What stood before the answer is what stands before the question, and stood there first.
          expect(tokens[source - 1]).toBe(tokens[position]);
          expect(tokens.indexOf(tokens[position])).toBe(source - 1);
        }
      }
      const asked = new Set(answers.map(({ position }) => position));
      expect([...targets.keys()].filter((i) => targets[i] !== 0 && !asked.has(i))).toEqual([]);
      expect(asked.size).toBe(answers.length);
    }
  });

  it.each([16, 100, 1000])("asks at a distance of %i, each once", (distance) => {
    for (const window of windows(20, 256 + Math.max(256, distance), distance)) {
      for (const { task, position, source } of window.answers) {
        expect(position - source).toBe(distance - (task === "name" ? 0 : 1));
      }
      expect(askedIn(window, "name").length).toBeLessThanOrEqual(1);
      expect(askedIn(window, "pairs").length).toBeLessThanOrEqual(PAIRS);
    }
    const all = windows(20, 256 + Math.max(256, distance), distance).flatMap(({ answers }) => answers);
    for (const task of recallTaskNames) expect(all.filter((own) => own.task === task).length).toBeGreaterThan(15);
  });

  it("of training has distances from a few tokens to nearly the window, spread evenly by their logarithm", () => {
    const distances = windows(200).flatMap((window) =>
      askedIn(window, "pairs").map(({ position, source }) => position - source + 1),
    );
    const share = (from: number, to: number) =>
      distances.filter((own) => own >= from && own < to).length / distances.length;
    expect(Math.min(...distances)).toBe(2);
    expect(Math.max(...distances)).toBeGreaterThan(200);
    for (const from of [2, 8, 32]) expect(share(from, 4 * from)).toBeGreaterThan(0.15);
    expect(share(128, 256)).toBeGreaterThan(0.03);
  });

  it("has answers that nothing else tells: all choices alike, whatever the key and the place", () => {
    for (const task of recallTaskNames) {
      const firsts = windows(1500).flatMap((window) => {
        const [first] = askedIn(window, task);
        return first ? [{ answer: window.targets[first.position], key: window.tokens[first.position] }] : [];
      });
      const counts = new Map<number, number>();
      for (const { answer } of firsts) counts.set(answer, (counts.get(answer) ?? 0) + 1);
      expect(counts.size).toBe(1 / CHANCE);
      for (const count of counts.values()) expect(Math.abs(count / firsts.length - CHANCE)).toBeLessThan(0.03);
      // Guessing for each question symbol what was most often right after it.
      const pairs = new Map<string, number>();
      for (const { answer, key } of firsts) pairs.set(`${key} ${answer}`, (pairs.get(`${key} ${answer}`) ?? 0) + 1);
      const best = new Map<number, number>();
      for (const [name, count] of pairs) {
        const key = Number(name.split(" ")[0]);
        best.set(key, Math.max(best.get(key) ?? 0, count));
      }
      const guessed = [...best.values()].reduce((sum, count) => sum + count, 0) / firsts.length;
      expect(guessed).toBeLessThan(3 * CHANCE);
    }
  });

  it("refuses a distance that does not fit", () => {
    expect(() => recallWindow({ seed, example: 0, length: 64, distance: 64 })).toThrow(
      /does not fit into a window of 64/,
    );
    expect(() => recallWindow({ seed, example: 0, length: 64, distance: 2 })).toThrow(/does not fit/);
  });
});
