import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { defaultRunFolder, partNames } from "./corpora.ts";

describe("corpora", () => {
  it("have short names, all different, of which the run folder is named", () => {
    const specs = ["a/wiki.txt", "b/wiki", "hub:c4@abc/en", "-", "dump/*.parquet", ["x/1.txt", "x/2.txt"]];
    expect(partNames(specs)).toEqual(["wiki", "wiki-2", "c4-en", "stdin", "dump", "1"]);
    expect(defaultRunFolder(["a/wiki.txt"])).toBe(join("runs", "wiki"));
    expect(defaultRunFolder(specs)).toBe(join("runs", "wiki+wiki+c4-en+stdin"));
  });
});
