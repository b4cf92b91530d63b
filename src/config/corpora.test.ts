import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import type { DataSpec } from "../data/data-spec.ts";
import { dataPath } from "../run/data/corpora.ts";
import { corporaFrom } from "./corpora.ts";

const disk = { absolute: dataPath, prepared: (data: DataSpec) => data === "shards" };

const parts = (settings: Parameters<typeof corporaFrom>[0]) => corporaFrom(settings, disk);

describe("the parts of a training", () => {
  it("are the one text of `data`, or data=weight after the last =, or objects", () => {
    expect(parts({ data: "a.txt", field: "body" })).toEqual([{ path: resolve("a.txt"), weight: 1, field: "body" }]);
    expect(parts({ mix: "a=b.txt=0.5" })).toEqual([{ path: resolve("a=b.txt"), weight: 0.5 }]);
    expect(parts({ mix: ["hub:c4/en=1e3", { data: ["x", "y"], weight: 2, split: "test" }], limit: "1MB" })).toEqual([
      { path: "hub:c4/en", weight: 1000, limit: "1MB" },
      { path: [resolve("x"), resolve("y")], weight: 2, split: "test", limit: "1MB" },
    ]);
    expect(parts({ mix: [{ data: "x", weight: 1, field: "a" }, "x=2"], field: "b" }).map(({ field }) => field)).toEqual(
      ["a", "b"],
    );
  });

  it("are read as is said of them, but for token shards, of which nothing can be chosen", () => {
    const [shards, text] = parts({ mix: ["shards=1", "a.txt=1"], field: "body", limit: "1MB" });
    expect(shards).toEqual({ path: resolve("shards"), weight: 1 });
    expect(text).toEqual({ path: resolve("a.txt"), weight: 1, field: "body", limit: "1MB" });
    expect(() => parts({ mix: ["shards=1"], split: "test" })).toThrow("`split` test: shards holds token shards");
  });

  it.each([
    ...["a.txt", "=3", "a.txt=", "a.txt=three", "a.txt=0", "a.txt=-1", "a.txt=NaN", "a.txt=Infinity", "a.txt=1e10"],
  ])("need a weight: %s", (mix) => {
    expect(() => parts({ mix: ["b.txt=1", mix] })).toThrow(
      `\`mix\` ${mix}: expected data=weight with a weight above 0 and at most 1e9, for example data/wiki=3`,
    );
    expect(() => parts({ mix: [{ data: "a", weight: -2 }] })).toThrow("`mix` a=-2: expected data=weight");
  });

  it("are given one way, and each once", () => {
    expect(() => parts({})).toThrow("`data` is missing: give a text to learn, or `resume` a run");
    expect(() => parts({ data: "a", mix: "b=1" })).toThrow("`data` a cannot be combined with `mix`");
    expect(() => parts({ mix: ["a.txt=1", `${resolve("a.txt")}=2`] })).toThrow("it is given twice");
    expect(() => parts({ mix: ["hub:pg19=1", "hub:pg19=1"] })).toThrow("`mix` hub:pg19: it is given twice");
    const inputs = ["-", "-"].map((data, i) => ({ data, weight: 1, field: `f${i}` }));
    expect(() => parts({ mix: inputs })).toThrow("`mix` -: it is given twice");
    const fields = ["title", "body"].map((field) => ({ data: "a.jsonl", weight: 1, field }));
    expect(parts({ mix: fields })).toHaveLength(2);
  });

  it("are the new text and shares of old ones, where training goes on from a model", () => {
    const sharesOf = (mix: Parameters<typeof corporaFrom>[0]["mix"]) =>
      parts({ from: "run", data: "new", mix }).map(({ path, weight }) => [path, Number(weight.toFixed(6))]);
    const [fresh, old, other] = ["new", "old", "a=b"].map((name) => resolve(name));
    expect(sharesOf("old")).toEqual([
      [fresh, 0.8],
      [old, 0.2],
    ]);
    expect(sharesOf(["old=0.3", "a=b"])).toEqual([
      [fresh, 0.5],
      [old, 0.3],
      [other, 0.2],
    ]);
    expect(sharesOf([{ data: "old", weight: 0.1 }])[0]).toEqual([fresh, 0.9]);
    expect(() => sharesOf(["old=0.5", "a=0.5"])).toThrow(
      "expected shares of the examples that are less than 1 together",
    );
    expect(() => sharesOf("old=-1")).toThrow("`mix` old=-1: expected data=weight");
    expect(() => sharesOf("new=0.2")).toThrow("it is given twice");
    expect(parts({ from: "run", mix: ["new=3", "old=1"] }).map(({ weight }) => weight)).toEqual([3, 1]);
  });
});
