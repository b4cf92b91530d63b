/** The engine in a browser: a training step is that of Node. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ortNodeEngine } from "../../src/runtime/ort-node.ts";
import { expectClose } from "../support/compare.ts";
import { type Built, buildPage, chromiumPath, openChromium, openPage, withoutChromium } from "./chromium.ts";
import type { TrainingPage } from "./pages/training.ts";
import { serveSite } from "./site.ts";
import { type Trained, trainingSteps } from "./training-steps.ts";

declare const harness: TrainingPage;

const STEPS = { steps: 3, context: 64, batch: 2 };

describe.skipIf(chromiumPath === undefined)(
  `training steps of nano FLASH in Chromium${withoutChromium}`,
  { timeout: 120_000 },
  () => {
    let built: Built;
    let inNode: Trained;
    let browser: Browser;
    beforeAll(async () => {
      const engine = ortNodeEngine({ threads: 1 });
      inNode = await trainingSteps(engine, STEPS);
      await engine.close();
      built = await buildPage("training.ts");
      browser = await openChromium();
    }, 120_000);
    afterAll(async () => {
      await browser?.close();
      built?.remove();
    });

    it.each([
      { isolated: false, threads: 1 },
      { isolated: true, threads: 2 },
    ])("isolated: $isolated, threads: $threads", async ({ isolated, threads }) => {
      const site = await serveSite({ folders: { "/": built.folder }, isolated });
      const { page, close } = await openPage(browser, site);
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(isolated);
      const trained = await page.evaluate(([options, steps]) => harness.train(options, steps), [
        { threads },
        STEPS,
      ] as const);
      for (const name of ["losses", "gradientNorms", "values"] as const)
        expectClose(trained[name], inNode[name], { name, tolerance: 1e-5 });
      await close();
      await site.close();
    });
  },
);
