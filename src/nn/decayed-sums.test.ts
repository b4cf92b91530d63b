/** Decayed sums over chunks against plain loops, in one block, in several and in blocks of blocks, and their gradients. */
import { describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { randomKey, randomNormals, randomUniform } from "../base/random.ts";
import { gradients } from "../graph/gradients.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { decayedSums, decayFactors } from "./decayed-sums.ts";

const [B, H, s, n] = [2, 1, 2, 1];
const random = (name: string, size: number) => randomNormals(randomKey(11, name), size);

interface Case {
  readonly G: number;
  readonly side: "before" | "after";
  readonly documents: boolean;
  readonly given: boolean;
}

const cases: Case[] = [1, 2, 16, 17, 50, 1100].flatMap((G) =>
  [true, false].flatMap((documents) => [
    { G, side: "before" as const, documents, given: false },
    { G, side: "before" as const, documents, given: true },
    { G, side: "after" as const, documents, given: false },
  ]),
);

/** Contiguous labels from 1 on, of documents that are short and very long. */
function labelsOf(G: number): Float32Array {
  const starts = [[1, 2, 5, 20, 21, 40, 700], [900]];
  return Float32Array.from({ length: B * G }, (_, at) => {
    const [b, g] = [Math.floor(at / G), at % G];
    return 1 + starts[b].filter((start) => start <= g).length;
  });
}

describe("decayed sums", () => {
  it.each(cases)("of $G chunks $side, documents $documents, something before $given, are plain loops", (options) => {
    const { G, side, documents, given } = options;
    const x = input("x", [B, H, G, s, n]);
    const log = input("log", [B, H, G, s, 1]);
    const labels = documents ? input("labels", [B, G]) : undefined;
    const before = given ? input("before", [B, H, s, n]) : undefined;
    const chunks = { log, side, labels };
    const factors = decayFactors(chunks);
    const { sums, after } = decayedSums(x.mul(factors.summand), chunks, before);
    const y = sums.mul(factors.sum);
    const wrt = [x, log, ...(before ? [before] : [])];
    const found = gradients(y, wrt, input("cotangent", y.shape));
    const named = Object.fromEntries(["dx", "dlog", "dbefore"].slice(0, wrt.length).map((name, i) => [name, found[i]]));
    const key = randomKey(11, "log");
    const values: Record<string, Float32Array> = {
      x: random("x", x.size),
      // The fastest decay that there can be among the slowest.
      log: Float32Array.from({ length: log.size }, (_, i) => -Math.LN2 * 4 * randomUniform(key, i) ** 4),
      cotangent: random("cotangent", y.size),
      ...(labels && { labels: labelsOf(G) }),
      ...(before && { before: random("before", before.size) }),
    };
    const actual = interpret(program("sums", { y, ...named, ...(after && { after }) }), values);
    const expected = plain(options, values);
    expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, data] of Object.entries(expected)) {
      if (data.every((value) => value === 0)) expect(Math.hypot(...actual[name].data)).toBeLessThan(1e-12);
      else expectClose(actual[name].data, data, { name, tolerance: 1e-10, shape: actual[name].shape });
    }
  });
});

function plain(
  { G, side, documents, given }: Case,
  { x, log, labels, before, cotangent }: Record<string, Float32Array>,
) {
  const made = (size: number) => new Float64Array(size);
  const result: Record<string, Float64Array> = { y: made(x.length), dx: made(x.length), dlog: made(log.length) };
  if (given) Object.assign(result, { dbefore: made(before.length), after: made(before.length) });
  for (let b = 0; b < B; b++) {
    const labelOf = (g: number) => (g < 0 ? 1 : labels[b * G + g]);
    for (let r = 0; r < s; r++) {
      const at = (g: number) => (b * G + g) * s + r;
      // From chunk g outwards; at the end of the text, -1, what was given stands.
      const walk = (g: number, meet: (h: number, factor: number, crossed: number[]) => void) => {
        let factor = 1;
        const crossed: number[] = [];
        const step = side === "before" ? -1 : 1;
        for (let h = g + step; h >= (given ? -1 : 0) && h < G; h += step) {
          if (documents && labelOf(h) !== labelOf(g + step)) break;
          meet(h, factor, crossed);
          if (h < 0) break;
          factor *= Math.exp(log[at(h)]);
          crossed.push(h);
        }
      };
      for (let g = 0; g < G; g++) {
        walk(g, (h, factor, crossed) => {
          const value = h < 0 ? before[b * s + r] : x[at(h)];
          result.y[at(g)] += factor * value;
          if (h < 0) result.dbefore[b * s + r] += factor * cotangent[at(g)];
          else result.dx[at(h)] += factor * cotangent[at(g)];
          const slope = factor * value * cotangent[at(g)];
          if (Math.abs(slope) > 1e-14) for (const c of crossed) result.dlog[at(c)] += slope;
        });
      }
      if (given) {
        walk(G, (h, factor) => {
          result.after[b * s + r] += factor * (h < 0 ? before[b * s + r] : x[at(h)]);
        });
      }
    }
  }
  return result;
}
