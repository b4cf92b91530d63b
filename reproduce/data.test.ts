/** Several texts as one sequence, each with its own held-out end. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tokensInMemory } from "longhand/train";
import { afterAll, describe, expect, it } from "vitest";
import { joinTokens, openComparisonData, prepareComparisonData, textBytes } from "./data.ts";

const folder = mkdtempSync(join(tmpdir(), "longhand-comparison-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("joinTokens", () => {
  const joined = joinTokens([[1, 2, 3], [], [4, 5]].map((ids) => tokensInMemory(Int32Array.from(ids))));
  const read = (offset: number, length: number) => {
    const out = new Int32Array(length);
    joined.read(offset, length, out);
    return [...out];
  };

  it("reads across borders", () => {
    expect(joined.tokens).toBe(5);
    expect(read(0, 5)).toEqual([1, 2, 3, 4, 5]);
    expect(read(2, 2)).toEqual([3, 4]);
    expect(read(3, 2)).toEqual([4, 5]);
    expect(read(5, 0)).toEqual([]);
  });

  it("refuses what is outside", () => {
    expect(() => read(4, 2)).toThrow(/do not fit/);
  });
});

describe("the data of a comparison", { timeout: 60_000 }, () => {
  it("holds out the end of every text", async () => {
    const texts = ["alpha", "beta"].map((word) => {
      const path = join(folder, `${word}.txt`);
      writeFileSync(path, Array.from({ length: 2000 }, (_, i) => `${word} ${i}.`).join(" "));
      return path;
    });
    const out = join(folder, "data");
    expect(await textBytes(texts)).toBeGreaterThan(20_000);
    await prepareComparisonData(out, { texts, vocab: 300, seed: 1 }, () => {});
    const data = await openComparisonData(out, { evalFraction: 0.1, evalTokens: 200, window: 64 });
    const textOf = async (sequence: {
      tokens: number;
      read(offset: number, length: number, out: Int32Array): void;
    }) => {
      const ids = new Int32Array(sequence.tokens);
      sequence.read(0, sequence.tokens, ids);
      return data.tokenizer.decode(ids);
    };
    const [train, curve] = [await textOf(data.train), await textOf(data.curve)];
    expect(train).toMatch(/^alpha 0\. alpha 1\./);
    expect(train).toContain("beta 0.");
    expect(train).not.toContain("alpha 1999.");
    expect(train).not.toContain("beta 1999.");
    expect(curve).toContain("alpha 18");
    expect(curve).toContain("beta 18");
    expect(data.curve.tokens).toBe(2 * 64 + 1); // whole windows of each, and the token before the first target
    expect(data.final.tokens).toBe(2 * 384 + 1);
    data.close();
  });
});
