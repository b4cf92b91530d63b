/** What the README of an export says of web pages, run as it stands there: with Longhand, and with onnxruntime-web alone. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadModel } from "../../src/run/use/model.ts";
import { fill } from "../../src/use/fill.ts";
import { generate } from "../../src/use/generate.ts";
import { expectClose } from "../support/compare.ts";
import { type Built, buildPage, chromiumPath, openChromium, openPage, withoutChromium } from "./chromium.ts";
import { type Site, serveSite } from "./site.ts";
import { type Exports, trainedExports } from "./trained.ts";

const root = join(import.meta.dirname, "../..");

const MODELS = {
  flash: { chunk: 16 },
  "transformer++": { model: "transformer++" },
  masked: { chunk: 16, objective: "masked" },
} as const;
type Name = keyof typeof MODELS;

/** The page has every program, and runs the one that it is told. */
declare const run: (program: string) => Promise<unknown>;

describe.skipIf(chromiumPath === undefined)(`lines for web pages${withoutChromium}`, { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "longhand-readme-"));
  let exported: Exports;
  let built: Built;
  let browser: Browser;
  let site: Site;

  beforeAll(async () => {
    exported = await trainedExports(MODELS);
    mkdirSync(join(folder, "node_modules/@huggingface"), { recursive: true });
    symlinkSync(root, join(folder, "node_modules/longhand"));
    for (const name of ["onnxruntime-web", "@huggingface/tokenizers"])
      symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
    const programs = Object.keys(MODELS).flatMap((model) => {
      const sections = readFileSync(join(exported.of(model), "README.md"), "utf8").split("\n## ");
      return ["Longhand", "ONNX on the web"].map((heading) => {
        const section = sections.find((part) => part.startsWith(`${heading}\n`)) ?? "";
        const [, program] = /web[^`]*`[\s\S]*?```js\n([\s\S]*?)```/.exec(section) ?? [];
        const name = `${model}-${heading === "Longhand" ? "longhand" : "onnx"}`;
        writeFileSync(join(folder, `${name}.js`), program);
        return `${JSON.stringify(name)}: () => import("./${name}.js")`;
      });
    });
    const all = join(folder, "all.js");
    writeFileSync(all, `const programs = { ${programs.join(", ")} };\nglobalThis.run = (name) => programs[name]();\n`);
    built = await buildPage(all);
    const folders = Object.keys(MODELS).map((model) => [
      [`/${model}/`, built.folder],
      [`/${model}/model/`, exported.of(model)],
    ]);
    site = await serveSite({ folders: Object.fromEntries(folders.flat()) });
    browser = await openChromium();
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    built?.remove();
    exported?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What a program shows in the page, and what it logs. */
  async function shown(model: Name, kind: "longhand" | "onnx"): Promise<{ text: string; logged: unknown[] }> {
    const { page, close } = await openPage(browser, site, { path: `/${model}/` });
    const logged: Promise<unknown>[] = [];
    page.on("console", (message) => {
      if (message.type() === "log")
        logged.push(
          ...message
            .args()
            .map((arg) => arg.evaluate((value) => (ArrayBuffer.isView(value) ? [...(value as Float32Array)] : value))),
        );
    });
    await page.evaluate((name) => run(name).then(() => undefined), `${model}-${kind}`);
    const result = { text: (await page.textContent("body")) ?? "", logged: await Promise.all(logged) };
    await close();
    return result;
  }

  it("write with a model", async () => {
    const model = await loadModel(exported.of("flash"), { threads: 1 });
    const written = async (prompt: string, tokens: number) => {
      for await (const piece of generate(model, { prompt, tokens, temperature: 0 }))
        if (piece.type === "end") return piece.text;
    };
    const { text } = await shown("flash", "longhand");
    expect(text.length).toBeGreaterThan(50);
    const { logged } = await shown("flash", "onnx");
    const prompt = (await model.tokenizer.encode("It was")).length;
    expect(logged).toEqual([`It was${await written("It was", 101 - prompt)}`]);
    await model.close();
  });

  it("fill in blanks", async () => {
    const model = await loadModel(exported.of("masked"), { threads: 1 });
    const filled = await fill(model, "It was a [MASK] night.");
    await model.close();
    expect((await shown("masked", "longhand")).text).toBe(filled.text);
    const [likeliest] = (await shown("masked", "onnx")).logged;
    expect(likeliest).toBe(filled.blanks[0].map(({ text }) => text).join(""));
  });

  it("score with a model whose state grows", async () => {
    const model = await loadModel(exported.of("transformer++"), { threads: 1 });
    const ids = await model.tokenizer.encode("It was a dark night.");
    const decoder = await model.decoders.take();
    const losses = await decoder.losses(ids.slice(0, -1), ids.slice(1));
    await model.close();
    const { logged } = await shown("transformer++", "onnx");
    expectClose(logged[0] as number[], losses, { name: "losses", tolerance: 1e-5 });
  });
});
