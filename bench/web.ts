/**
 * Training in a browser tab, in Chromium, two threads, in turn: the paper's Transformer by Longhand and by jax-js, and
 * FLASH by Longhand; and which share of the rate of its own matrix products, alone, a step of Longhand reaches.
 */
import { join } from "node:path";
import { ratios, type Spread, spread } from "../reproduce/statistics.ts";
import { availableProcessors } from "../src/base/processors.node.ts";
import { parseModelConfig } from "../src/models/config.ts";
import { type PresetName, presetModel } from "../src/models/presets.ts";
import { buildPage, chromiumPath, openChromium, openPage } from "../test/browser/chromium.ts";
import { serveSite } from "../test/browser/site.ts";
import type { LonghandPage, TrainerPage, WebStep, WebTraining } from "./web-pages/trainer.ts";

declare const page: LonghandPage & TrainerPage;

export interface WebSide {
  readonly name: string;
  readonly milliseconds: Spread;
  readonly firstLoss: number;
  readonly lastLoss: number;
}

export interface WebReport {
  readonly preset: PresetName;
  readonly context: number;
  readonly batch: number;
  readonly threads: number;
  readonly sides: readonly WebSide[];
  /** jax-js's time of a step of the Transformer over Longhand's. */
  readonly againstJax: Spread | null;
  /** Time of the products of a step, alone, over the time of the step: of Longhand's Transformer and FLASH. */
  readonly productShares: Readonly<Record<string, number>>;
  /** GFLOP/s of the fastest product. */
  readonly bestProduct: number;
  /** Why nothing was measured. */
  readonly reason: string | null;
}

interface WebOptions {
  readonly preset: PresetName;
  readonly rounds: number;
  readonly warmup: number;
  note(text: string): void;
}

const CONTEXT = 256;
const BATCH = 4;
const VOCABULARY = 2048;
const SIDES = [
  { name: "Transformer, Longhand", script: "longhand.ts", architecture: "transformer" },
  { name: "Transformer, jax-js", script: "jax-gpt.ts", architecture: "transformer" },
  { name: "FLASH, Longhand", script: "longhand.ts", architecture: "flash" },
] as const;

export async function benchWeb({ preset, rounds, warmup, note }: WebOptions): Promise<WebReport> {
  const threads = availableProcessors();
  const report = { preset, context: CONTEXT, batch: BATCH, threads };
  const nothing = { sides: [], againstJax: null, productShares: {}, bestProduct: 0 };
  if (chromiumPath === undefined) return { ...report, ...nothing, reason: "there is no Chromium" };
  const browser = await openChromium();
  const closing: (() => unknown)[] = [() => browser.close()];
  try {
    const pages = [];
    for (const { name, script, architecture } of SIDES) {
      const built = await buildPage(join(import.meta.dirname, "web-pages", script));
      const site = await serveSite({ folders: { "/": built.folder }, isolated: true });
      closing.push(built.remove, site.close);
      const opened = (await openPage(browser, site)).page;
      const fields = presetModel(architecture, preset, { context: CONTEXT });
      const model = parseModelConfig({ ...fields, vocabSize: VOCABULARY });
      const training: WebTraining = { model, batch: BATCH, context: CONTEXT, threads };
      await opened.evaluate((asked) => page.prepare(asked), training);
      const products = script === "longhand.ts" ? () => opened.evaluate(() => page.products()) : undefined;
      pages.push({ name, step: () => opened.evaluate(() => page.step()), products, steps: [] as WebStep[] });
    }
    for (let round = 0; round < warmup + rounds; round++) {
      note(`web: ${round < warmup ? "warm-up" : `round ${round - warmup + 1} of ${rounds}`}`);
      for (const i of pages.keys()) {
        const own = pages[(i + round) % pages.length];
        own.steps.push(await own.step());
      }
    }
    const times = pages.map(({ steps }) => steps.slice(warmup).map(({ milliseconds }) => milliseconds));
    const productShares: Record<string, number> = {};
    let bestProduct = 0;
    for (const [i, { name, products }] of pages.entries()) {
      const timings = (await products?.()) ?? [];
      if (timings.length === 0) continue;
      const alone = timings.reduce((sum, { milliseconds, count }) => sum + milliseconds * count, 0);
      productShares[name] = alone / spread(times[i]).median;
      bestProduct = Math.max(bestProduct, ...timings.map(({ flops, milliseconds }) => flops / milliseconds / 1e6));
    }
    const sides = pages.map(({ name, steps }, i) => {
      const [first, last] = [steps[0].loss, steps[steps.length - 1].loss];
      return { name, milliseconds: spread(times[i]), firstLoss: first, lastLoss: last };
    });
    return {
      ...report,
      sides,
      againstJax: spread(ratios(times[1], times[0])),
      productShares,
      bestProduct,
      reason: null,
    };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}
