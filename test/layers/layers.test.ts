import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { findProblems } from "./check.ts";
import { importedFile, importsOf, repositoryImports } from "./imports.ts";
import { drawRooms, PICTURE } from "./picture.ts";
import { type Rules, rules } from "./rules.ts";

const room = (...imports: string[]) => ({ about: "", imports });

const small: Rules = {
  rooms: { base: room(), runtime: room("base"), nn: room("base", "runtime/engine.ts"), cli: room("base", "nn") },
  node: ["*.node.ts", "runtime/ort-node.ts", "cli/"],
  browserPackages: ["zod", "@scope/pure"],
  engines: "runtime/ort-*.ts",
  byName: ["examples"],
  pages: { page: ["nn/pure.ts"] },
  circles: [],
};

function problemsOf(texts: Readonly<Record<string, string>>, changed: Partial<Rules> = {}): string[] {
  const files = new Map(Object.entries(texts).map(([path, text]) => [path, importsOf(text)]));
  return findProblems(files, { ...small, ...changed });
}

describe("imports of a file", () => {
  test("every form is read, with whether it is erased", () => {
    const text = [
      '/** No import "a comment". */',
      'import "./effect.ts";',
      'import whole from "whole";',
      'import * as all from "all";',
      'import type { A } from "./type.ts";',
      'import { type B, c } from "./mixed.ts";',
      "import {",
      "  d,",
      "  type E,",
      '} from "./several-lines.ts";',
      'export * from "./star.ts";',
      'export * as named from "./named-star.ts";',
      'export type { F } from "./type-again.ts";',
      'export { g } from "./again.ts";',
      'export const notAnImport = { from: "nowhere" };',
      'const module = await import("./lazy.ts");',
      'type Module = typeof import("./lazy-type.ts");',
    ].join("\n");
    expect(importsOf(text).map(({ name, typeOnly }) => (typeOnly ? `type ${name}` : name))).toEqual([
      ...["./effect.ts", "whole", "all", "type ./type.ts", "./mixed.ts", "./several-lines.ts", "./star.ts"],
      ...["./named-star.ts", "type ./type-again.ts", "./again.ts", "./lazy.ts", "type ./lazy-type.ts"],
    ]);
  });
});

describe("rules", () => {
  test("a room imports what its rule names, and single files where it names them", () => {
    expect(
      problemsOf({
        "src/base/shape.ts": "",
        "src/runtime/engine.ts": 'import { Shape } from "../base/shape.ts";',
        "src/nn/linear.ts":
          'import type { Engine } from "../runtime/engine.ts";\nimport { z } from "@scope/pure/part";',
        "src/nn/linear.test.ts": 'import { main } from "../cli/main.ts";\nimport { readFileSync } from "node:fs";',
        "src/cli/main.ts": 'import { linear } from "../nn/linear.ts";\nimport { readFileSync } from "node:fs";',
        "src/index.ts": 'export { linear } from "./nn/linear.ts";',
        "examples/library.ts": 'import { linear } from "longhand";',
        "page/main.tsx": 'import { render } from "preact";\nimport { pure } from "../src/nn/pure.ts";',
        "page/vite.config.ts": 'import { readFileSync } from "node:fs";',
      }),
    ).toEqual([]);
  });

  test.each([
    ["src/base/a.ts", 'import type { B } from "../nn/b.ts";', "base may import no other room"],
    ["src/nn/a.ts", 'export { b } from "../cli/b.ts";', "nn may import base, runtime/engine.ts"],
    ["src/nn/a.ts", 'import type { B } from "../runtime/huge-pages.ts";', "nn may import base, runtime/engine.ts"],
    ["src/cli/a.ts", 'import { b } from "../index.ts";', "cli may import base, nn"],
    ["src/nn/a.ts", 'import { b } from "longhand";', "src imports its files by their paths"],
    ["page/parts/a.tsx", 'import { b } from "../../src/nn/b.ts";', "of src, page may import nn/pure.ts"],
    ["page/a.ts", 'import { readFileSync } from "node:fs";', "this file must run in a browser"],
    ["examples/a.ts", 'import { b } from "../src/nn/b.ts";', "examples imports the package by its name"],
    ["src/cli/a.ts", 'import * as ort from "onnxruntime-node";', "only src/runtime/ort-*.ts names the runtime"],
    ["bench/a.ts", 'import * as ort from "onnxruntime-node";', "only src/runtime/ort-*.ts names the runtime"],
    ["src/nn/a.ts", 'import { readFileSync } from "node:fs";', "this file must run in a browser"],
    [
      "src/nn/a.ts",
      'import { b } from "./b.node.ts";',
      "this file must run in a browser, and the imported one needs Node",
    ],
    [
      "src/nn/a.ts",
      'const b = await import("native");',
      /must run in a browser, and so may load only zod, @scope\/pure/,
    ],
    ["src/web/a.ts", "", "this folder has no rule; add one"],
  ])("%s: %s", (file, text, rule) => {
    const problems = problemsOf({ [file]: text });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(text === "" ? "src/web" : file);
    expect(problems[0]).toMatch(rule);
  });

  test("a room stands after what it imports", () => {
    const rooms = { nn: room("base"), base: room() };
    expect(problemsOf({}, { rooms })).toEqual(["rule of nn: base must stand above nn in the list of rooms"]);
  });
});

describe("circles", () => {
  const circle = {
    "src/base/a.ts": 'import { b } from "./b.ts";',
    "src/base/b.ts": 'import type { C } from "./c.ts";',
    "src/base/c.ts": 'import type { A } from "./a.ts";',
  };
  const exception: Partial<Rules> = { circles: [["src/base/c.ts", "src/base/a.ts"]] };

  test("are found by way of types too, each once", () => {
    expect(problemsOf(circle)).toEqual([
      "src/base/a.ts -> src/base/b.ts -> src/base/c.ts -> src/base/a.ts: files must not import each other in a circle",
    ]);
  });

  test("may be named as exceptions, as long as they are there", () => {
    expect(problemsOf(circle, exception)).toEqual([]);
    expect(problemsOf({ ...circle, "src/base/b.ts": "" }, exception)).toEqual([
      "exception src/base/c.ts -> src/base/a.ts: it closes no circle any more; remove it from the rules",
    ]);
  });
});

test("what can be configured is known without Node: nothing that src/config loads is native", () => {
  const files = repositoryImports();
  const loaded = new Set([...files.keys()].filter((file) => /^src\/config\/.*(?<!\.test)\.ts$/.test(file)));
  const packages = new Set<string>();
  for (const file of loaded) {
    for (const imported of files.get(file) ?? []) {
      if (imported.typeOnly) continue;
      const target = importedFile(file, imported);
      if (target === undefined) packages.add(imported.name);
      else loaded.add(target);
    }
  }
  expect(loaded.size).toBeGreaterThan(10);
  expect([...packages]).toEqual(["zod"]);
});

test("docs/layout.svg shows the imports of today; npm run layout draws it", () => {
  expect(readFileSync(PICTURE, "utf8")).toBe(drawRooms(repositoryImports(), rules));
});
