/** WebGPU in a page, computed by the processor (SwiftShader): training steps and texts are those of Node; a lost device. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadModel } from "../../src/run/use/model.ts";
import { ortNodeEngine } from "../../src/runtime/ort-node.ts";
import { generate } from "../../src/use/generate.ts";
import { expectClose } from "../support/compare.ts";
import { type Built, buildPage, chromiumPath, openChromium, openPage, withoutChromium } from "./chromium.ts";
import type { Longhand } from "./pages/model.ts";
import type { TrainingPage } from "./pages/training.ts";
import { type Site, serveSite } from "./site.ts";
import { type Exports, trainedExports } from "./trained.ts";
import { trainingSteps } from "./training-steps.ts";

declare const harness: TrainingPage;
declare const longhand: Longhand;

const STEPS = {
  ...{ steps: 1, context: 32, batch: 1 },
  model: { vocabSize: 61, width: 16, layers: 1, shared: 8, chunk: 8 },
};

/** The processor compiles some hundred shaders. */
const PATIENCE = { timeout: 240_000 };

describe.skipIf(chromiumPath === undefined)(`WebGPU in a page${withoutChromium}`, PATIENCE, () => {
  let pages: Readonly<Record<"training" | "model", Built>>;
  let exported: Exports;
  let browser: Browser;
  let site: Site;
  beforeAll(async () => {
    pages = { training: await buildPage("training.ts"), model: await buildPage("model.ts") };
    exported = await trainedExports({ flash: { chunk: 16 } });
    browser = await openChromium({ gpu: true });
    const folders = { "/": pages.model.folder, "/training/": pages.training.folder, "/models/": exported.folder };
    site = await serveSite({ folders });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    exported?.remove();
    for (const built of Object.values(pages ?? {})) built.remove();
  });

  it("takes training steps as Node does", async () => {
    const engine = ortNodeEngine({ threads: 1 });
    const inNode = await trainingSteps(engine, STEPS);
    await engine.close();
    const { page, close } = await openPage(browser, site, { path: "/training/" });
    const trained = await page.evaluate((steps) => harness.train({ device: "webgpu" }, steps), STEPS);
    for (const name of ["losses", "gradientNorms", "values"] as const)
      expectClose(trained[name], inNode[name], { name, tolerance: 1e-5 });
    await close();
  });

  it("writes as Node does, and says what is wrong when the device is lost", async () => {
    const model = await loadModel(exported.of("flash"), { threads: 1 });
    const written = { prompt: "", tokens: 12, temperature: 0 };
    let inNode = "";
    for await (const piece of generate(model, written)) if (piece.type === "end") inNode = piece.text;
    await model.close();
    const { page, close, problems } = await openPage(browser, site);
    const found = await page.evaluate(async (written) => {
      const model = await longhand.loadModel({ url: "/models/flash-float32/" }, { device: "webgpu" });
      Object.assign(globalThis, { model });
      let text = "";
      for await (const piece of model.generate(written)) if (piece.type === "end") text = piece.text;
      return { text, engine: model.facts.engine };
    }, written);
    expect(found.text).toBe(inNode);
    expect(found.engine.device).toBe("webgpu");

    const failure = page.evaluate(async () => {
      const { model } = globalThis as unknown as { model: Awaited<ReturnType<Longhand["loadModel"]>> };
      try {
        for await (const _ of model.generate({ prompt: "", tokens: 1_000_000 }))
          Object.assign(globalThis, { writing: true });
      } catch (error) {
        return error instanceof longhand.LonghandError ? `${error.code} ${error.message}` : String(error);
      }
      return "nothing was wrong";
    });
    await page.waitForFunction(() => "writing" in globalThis);
    const session = await browser.newBrowserCDPSession();
    await session.send("Browser.crashGpuProcess");
    expect(await failure).toMatch(/^engine webgpu: the GPU device was lost \(.+\); load the model again$/);
    problems(); // Chromium and the runtime say it on the console too
    await close();
  });

  it("is not chosen where the processor does its work", async () => {
    const { page, close } = await openPage(browser, site);
    const engine = await page.evaluate(async () => {
      const model = await longhand.loadModel({ url: "/models/flash-float32/" });
      model.close();
      return model.facts.engine;
    });
    expect(engine).toMatchObject({ device: "cpu", threads: 1 });
    expect(engine.reason).toMatch(/^WebAssembly, since .+\. One thread, since the page is not isolated/);
    await close();
  });
});
