import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { defaultRunFolder, partNames, trainingParts } from "./corpora.ts";

const parts = (settings: Parameters<typeof trainingParts>[0]) =>
  trainingParts(settings).map((part) => JSON.parse(JSON.stringify(part)));

describe("the parts of a training", () => {
  it("are the one text of `data`, or data=weight after the last =, or objects", () => {
    expect(parts({ data: "a.txt", field: "body" })).toEqual([{ data: "a.txt", weight: 1, field: "body" }]);
    expect(parts({ mix: "a=b.txt=0.5" })).toEqual([{ data: "a=b.txt", weight: 0.5 }]);
    expect(parts({ mix: ["hub:c4/en=1e3", { data: ["x", "y"], weight: 2, split: "test" }], limit: "1MB" })).toEqual([
      { data: "hub:c4/en", weight: 1000, limit: "1MB" },
      { data: ["x", "y"], weight: 2, split: "test", limit: "1MB" },
    ]);
    expect(parts({ mix: [{ data: "x", weight: 1, field: "a" }, "x=2"], field: "b" }).map(({ field }) => field)).toEqual(
      ["a", "b"],
    );
  });

  it.each([
    ...["a.txt", "=3", "a.txt=", "a.txt=three", "a.txt=0", "a.txt=-1", "a.txt=NaN", "a.txt=Infinity", "a.txt=1e10"],
  ])("need a weight: %s", (mix) => {
    expect(() => trainingParts({ mix: ["b.txt=1", mix] })).toThrow(
      `\`mix\` ${mix}: expected data=weight with a weight above 0 and at most 1e9, for example data/wiki=3`,
    );
    expect(() => trainingParts({ mix: [{ data: "a", weight: -2 }] })).toThrow("`mix` a=-2: expected data=weight");
  });

  it("are given one way, and each once", () => {
    expect(() => trainingParts({})).toThrow("`data` is missing: give a text to learn, or `resume` a run");
    expect(() => trainingParts({ data: "a", mix: "b=1" })).toThrow("`data` a cannot be combined with `mix`");
    expect(() => trainingParts({ mix: ["a.txt=1", `${resolve("a.txt")}=2`] })).toThrow("it is given twice");
    expect(() => trainingParts({ mix: ["hub:pg19=1", "hub:pg19=1"] })).toThrow("`mix` hub:pg19: it is given twice");
    const inputs = ["-", "-"].map((data, i) => ({ data, weight: 1, field: `f${i}` }));
    expect(() => trainingParts({ mix: inputs })).toThrow("`mix` -: it is given twice");
    const fields = ["title", "body"].map((field) => ({ data: "a.jsonl", weight: 1, field }));
    expect(trainingParts({ mix: fields })).toHaveLength(2);
  });

  it("have short names, all different, of which the run folder is named", () => {
    const specs = ["a/wiki.txt", "b/wiki", "hub:c4@abc/en", "-", "dump/*.parquet", ["x/1.txt", "x/2.txt"]];
    expect(partNames(specs)).toEqual(["wiki", "wiki-2", "c4-en", "stdin", "dump", "1"]);
    expect(defaultRunFolder(["a/wiki.txt"])).toBe(join("runs", "wiki"));
    expect(defaultRunFolder(specs)).toBe(join("runs", "wiki+wiki+c4-en+stdin"));
  });
});
