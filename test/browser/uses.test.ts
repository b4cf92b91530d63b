/** A model in a page gives what it gives in Node: tokens, probabilities of blanks, surprise; for exports of every format. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { weightFormats } from "../../src/config/export-settings.ts";
import { score } from "../../src/run/score/score.ts";
import { type LoadedModel, loadModel } from "../../src/run/use/model.ts";
import { fill } from "../../src/use/fill.ts";
import { generate } from "../../src/use/generate.ts";
import type { ScoreRecord } from "../../src/use/score/records.ts";
import { expectClose } from "../support/compare.ts";
import {
  type Built,
  buildPage,
  chromiumPath,
  type OpenPage,
  openChromium,
  openPage,
  withoutChromium,
} from "./chromium.ts";
import type { Longhand } from "./pages/model.ts";
import { type Site, serveSite } from "./site.ts";
import { type Exports, lines, trainedExports } from "./trained.ts";

declare const longhand: Longhand;

const WRITTEN = { prompt: lines.slice(40, 60).join(""), tokens: 300, seed: 7, topP: 0.95 } as const;
const SCORED = lines.slice(100, 130).join("");

async function textsInNode(model: LoadedModel): Promise<string[]> {
  const texts: string[] = [];
  for (const temperature of [0, 0.8]) {
    for await (const piece of generate(model, { ...WRITTEN, temperature }))
      if (piece.type === "end") texts.push(piece.text);
  }
  return texts;
}

async function scoredInNode(model: LoadedModel): Promise<ScoreRecord[]> {
  const records: ScoreRecord[] = [];
  for await (const record of score(model, { text: SCORED, tokens: true })) records.push(record);
  return records;
}

function expectSameScores(found: readonly ScoreRecord[], wanted: readonly ScoreRecord[]): void {
  const without = (records: readonly ScoreRecord[]) =>
    records.map(({ type, ...rest }) => ({ type, text: "text" in rest ? rest.text : "" }));
  expect(without(found)).toEqual(without(wanted));
  const bits = (records: readonly ScoreRecord[]) => records.map((record) => record.bits);
  expectClose(bits(found), bits(wanted), { name: "bits", tolerance: 1e-5 });
}

describe.skipIf(chromiumPath === undefined)(`a model in a page${withoutChromium}`, { timeout: 120_000 }, () => {
  let exported: Exports;
  let formats: Exports;
  let built: Built;
  let browser: Browser;
  let site: Site;
  let open: OpenPage;

  beforeAll(async () => {
    formats = await trainedExports({ flash: { chunk: 16 } }, weightFormats);
    exported = await trainedExports({
      "transformer++": { model: "transformer++" },
      masked: { chunk: 16, objective: "masked" },
    });
    built = await buildPage("model.ts");
    browser = await openChromium();
    site = await serveSite({
      folders: { "/": built.folder, "/formats/": formats.folder, "/models/": exported.folder },
      isolated: true,
    });
    open = await openPage(browser, site);
  }, 180_000);
  afterAll(async () => {
    await open?.close();
    await browser?.close();
    await site?.close();
    built?.remove();
    for (const made of [exported, formats]) made?.remove();
  });

  it.each(weightFormats)("writes and scores as in Node: flash as %s", async (format) => {
    const model = await loadModel(formats.of("flash", format), { threads: 1 });
    const [texts, records] = [await textsInNode(model), await scoredInNode(model)];
    await model.close();
    const found = await open.page.evaluate(
      async ([url, { prompt, ...settings }, text]) => {
        const model = await longhand.loadModel({ url }, { threads: 1 });
        const texts: string[] = [];
        for (const temperature of [0, 0.8]) {
          for await (const piece of model.generate({ prompt, ...settings, temperature }))
            if (piece.type === "end") texts.push(piece.text);
        }
        const records: ScoreRecord[] = [];
        for await (const record of model.score({ text, tokens: true })) records.push(record);
        model.close();
        return { texts, records, facts: model.facts };
      },
      [`/formats/flash-${format}`, WRITTEN, SCORED] as const,
    );
    expect(found.facts.engine).toMatchObject({ device: "cpu", threads: 1 });
    expect(found.texts).toEqual(texts);
    expectSameScores(found.records, records);
  });

  it("scores as in Node a model whose state grows", async () => {
    const model = await loadModel(exported.of("transformer++"), { threads: 1 });
    const records = await scoredInNode(model);
    await model.close();
    const found = await open.page.evaluate(async (text) => {
      const model = await longhand.loadModel({ url: "/models/transformer++-float32/" }, { threads: 2 });
      const records: ScoreRecord[] = [];
      for await (const record of model.score({ text, tokens: true })) records.push(record);
      model.close();
      return records;
    }, SCORED);
    expectSameScores(found, records);
  });

  it("fills blanks as in Node", async () => {
    const text = "It was[MASK] 17 of a[MASK] night";
    const model = await loadModel(exported.of("masked"), { threads: 1 });
    const wanted = await fill(model, text, { topK: 5 });
    await model.close();
    const found = await open.page.evaluate(async (text) => {
      const model = await longhand.loadModel({ url: "/models/masked-float32/" });
      const filled = await model.fill(text, { topK: 5 });
      model.close();
      return filled;
    }, text);
    expect(found.text).toBe(wanted.text);
    for (const [i, candidates] of wanted.blanks.entries()) {
      expect(found.blanks[i].map(({ token }) => token)).toEqual(candidates.map(({ token }) => token));
      const probabilities = (of: typeof candidates) => of.map(({ probability }) => probability);
      expectClose(probabilities(found.blanks[i]), probabilities(candidates), { name: `blank ${i}`, tolerance: 1e-5 });
    }
  });
});
