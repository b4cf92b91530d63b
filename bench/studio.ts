/**
 * The studio's page in Chromium: how soon it is there with 50 runs, and how many frames a second it draws while a run
 * of 100,000 steps is panned. The time of a frame is that of the page's thread alone, which other programs do not
 * change.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { type Spread, spread } from "../reproduce/statistics.ts";
import { startStudio } from "../src/studio/studio.ts";
import { chromiumPath, openChromium } from "../test/browser/chromium.ts";
import { makeRun } from "../test/support/made-up-run.ts";

export interface StudioReport {
  readonly runs: number;
  readonly points: number;
  /** From the request to the first that is seen, and to the list with all runs; milliseconds. */
  readonly firstPaint: Spread | null;
  readonly list: Spread | null;
  readonly framesPerSecond: Spread | null;
  /** Processor time of the page's thread a frame, milliseconds; 60 frames a second leave 16.7. */
  readonly frame: Spread | null;
  /** Why nothing was measured. */
  readonly reason: string | null;
}

interface StudioOptions {
  readonly rounds: number;
  readonly warmup: number;
  note(text: string): void;
}

const RUNS = 50;
const POINTS = 100_000;
const FRAMES = 180;

export async function benchStudio({ rounds, warmup, note }: StudioOptions): Promise<StudioReport> {
  const nothing = { firstPaint: null, list: null, framesPerSecond: null, frame: null };
  if (chromiumPath === undefined) return { runs: RUNS, points: POINTS, ...nothing, reason: "there is no Chromium" };
  const folder = mkdtempSync(join(tmpdir(), "longhand-bench-studio-"));
  for (let number = 1; number < RUNS; number++) makeRun(folder, `run-${number}`, { taken: 400, finished: true });
  makeRun(folder, "long", { taken: POINTS, finished: true });
  const studio = await startStudio({ runs: folder, program: [process.execPath], port: 0 });
  const browser = await openChromium();
  try {
    const paints: { readonly first: number; readonly list: number }[] = [];
    const pans: Pan[] = [];
    for (let round = 0; round < warmup + rounds; round++) {
      note(`studio: ${round < warmup ? "warm-up" : `round ${round - warmup + 1} of ${rounds}`}`);
      const [paint, pan] = [await paintOf(browser, studio.url), await panOf(browser, `${studio.url}#/runs?run=long`)];
      if (round < warmup) continue;
      paints.push(paint);
      pans.push(pan);
    }
    return {
      ...{ runs: RUNS, points: POINTS, reason: null },
      firstPaint: spread(paints.map(({ first }) => first)),
      list: spread(paints.map(({ list }) => list)),
      framesPerSecond: spread(pans.map(({ framesPerSecond }) => framesPerSecond)),
      frame: spread(pans.map(({ frame }) => frame)),
    };
  } finally {
    await browser.close();
    await studio.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Notes the time of the first frame in which all runs are listed. */
const WATCH = `{
  const look = () => {
    if (document.querySelectorAll(".run").length < ${RUNS}) requestAnimationFrame(look);
    else globalThis.listed = performance.now();
  };
  requestAnimationFrame(look);
}`;

async function paintOf(browser: Browser, url: string): Promise<{ readonly first: number; readonly list: number }> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.addInitScript(WATCH);
  await page.goto(url);
  await page.waitForFunction(() => "listed" in globalThis);
  const first: number = await page.evaluate('performance.getEntriesByName("first-contentful-paint")[0].startTime');
  const list: number = await page.evaluate("globalThis.listed");
  await page.close();
  return { first, list };
}

interface Pan {
  readonly framesPerSecond: number;
  readonly frame: number;
}

/** Zooms into a third of the run, then pans to and fro, a little in each frame; resolves to the milliseconds taken. */
const PAN = `new Promise((done) => {
  const plot = document.querySelector(".u-over");
  const { x, width } = plot.getBoundingClientRect();
  const wheel = (more) =>
    plot.dispatchEvent(new WheelEvent("wheel", { clientX: x + width / 2, cancelable: true, ...more }));
  for (let turn = 0; turn < 10; turn++) wheel({ deltaY: -11, ctrlKey: true });
  const begin = performance.now();
  let frames = 0;
  const next = () => {
    if (frames === ${FRAMES}) return done(performance.now() - begin);
    wheel({ deltaX: 12 * Math.sin(frames++ / 10) });
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
})`;

async function panOf(browser: Browser, url: string): Promise<Pan> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(url);
  await page.locator(".u-over").first().waitFor();
  await page.waitForLoadState("load");
  const busy = await threadTime(page);
  const before = await busy();
  const taken: number = await page.evaluate(PAN);
  const after = await busy();
  await page.close();
  return { framesPerSecond: (1000 * FRAMES) / taken, frame: (1000 * (after - before)) / FRAMES };
}

/** Seconds of processor time that the tasks of the page's thread have taken. */
async function threadTime(page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  return async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN;
  };
}
