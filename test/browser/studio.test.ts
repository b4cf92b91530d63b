/**
 * The studio's page by clicking as a person would: runs and their curves, a training that is started, stopped and
 * resumed.
 */
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Locator, Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { lineOf, type MadeUpRun, makeRun, trainRecord } from "../support/made-up-run.ts";
import { chromiumPath, withoutChromium } from "./chromium.ts";
import { expectAccessible, studioInBrowser } from "./studio-page.ts";

/** What is there when a page is. */
const READY: Readonly<Record<string, string>> = { train: "form", nowhere: ".empty" };
const PHONE = { width: 390, height: 844 };

function madeUp(runs: string, name: string, run: MadeUpRun): void {
  const folder = makeRun(runs, name, run);
  for (const step of [run.taken - 100, run.taken]) {
    const sample = { type: "sample", step, prompt: "Call me ", text: `Ishmael, said ${name} at ${step}.` } as const;
    appendFileSync(join(folder, "metrics.jsonl"), lineOf(sample));
  }
}

const studio = studioInBrowser(async (runs) => {
  madeUp(runs, "old", { taken: 400, finished: true, model: { width: 64 } });
  madeUp(runs, "sweep/new", { taken: 300, steps: 500 });
  writeFileSync(join(makeRun(runs, "broken", { taken: 1 }), "config.json"), "{");
});

/** The value that a plot says where it is pointed at, or at its end. */
const reading = (page: Page, title: string) => page.getByRole("slider", { name: title }).getAttribute("aria-valuetext");

async function drag(page: Page, plot: Locator, from: number, to: number): Promise<void> {
  const box = await plot.boundingBox();
  if (box === null) throw new Error("the plot is not seen");
  const at = (share: number) => box.x + 52 + share * (box.width - 68); // beside its axis
  await page.mouse.move(at(from), box.y + 60);
  await page.mouse.down();
  await page.mouse.move(at((from + to) / 2), box.y + 60, { steps: 3 });
  await page.mouse.move(at(to), box.y + 60);
  await page.mouse.up();
}

describe.skipIf(chromiumPath === undefined)(`the studio's page${withoutChromium}`, { timeout: 120_000 }, () => {
  it("takes the token out of the address, and says what is missing without it", async () => {
    const { page, close } = await studio.open("#/");
    expect(new URL(page.url()).search).toBe("");
    await page.getByLabel("Show sweep/new").waitFor();
    await page.context().clearCookies();
    const answer = await page.request.get(page.url());
    expect(answer.status()).toBe(401);
    expect(await answer.text()).toContain("open the address that longhand studio printed");
    await close();
  });

  it("shows curves of one run and of two, as the address says", async () => {
    const { page, close } = await studio.open("#/runs?run=sweep/new");
    await page.getByRole("button", { name: "old", exact: true }).click();
    await page.getByLabel("Show sweep/new").check();
    const legend = page.getByRole("list", { name: "Chosen runs" });
    await expect.poll(() => reading(page, "Training loss")).toMatch(/old: 0\.25; sweep\/new: 0\.2887/);
    await page.getByRole("button", { name: "sweep/new", pressed: true }).click();
    await expect.poll(() => reading(page, "Training loss")).toBe("last; old: 0.25");
    expect(new URL(page.url()).hash).toMatch(/^#\/runs\?run=\S*old\S*&hide=sweep%2Fnew$/);
    await page.reload();
    await expect.poll(() => reading(page, "Held-out perplexity")).toBe("last; old: 1.419");
    await legend.getByRole("button", { name: "Take sweep/new away" }).click();
    expect(await legend.getByRole("listitem").count()).toBe(1);
    await close();
  });

  it("draws along tokens and time, smooth, and on logarithmic axes", async () => {
    const { page, close } = await studio.open("#/runs?run=old");
    const loss = page.getByRole("slider", { name: "Training loss" });
    await loss.waitFor();
    await page.getByText("Tokens", { exact: true }).click();
    expect(Number(await loss.getAttribute("aria-valuemax"))).toBe(400 * 128);
    await page.getByText("Time", { exact: true }).click();
    expect(Number(await loss.getAttribute("aria-valuemax"))).toBe(100);
    await page.getByRole("slider", { name: "Smoothing" }).press("End");
    await page.getByText("Log x").click();
    await page.getByText("Log y").click();
    expect(new URL(page.url()).hash).toBe("#/runs?run=old&x=seconds&smooth=0.99&log=xy");
    // The mean of the last hundred steps or so is above the last.
    expect(Number((await reading(page, "Training loss"))?.split(" ").at(-1))).toBeGreaterThan(0.3);
    expect(await page.locator(".plot canvas").count()).toBe(6);
    await close();
  });

  it("zooms and pans by mouse and from the keyboard, all plots together", async () => {
    const { page, close } = await studio.open("#/runs?run=old");
    const loss = page.getByRole("slider", { name: "Training loss" });
    const rate = page.getByRole("slider", { name: "Learning rate" });
    const seen = async () => [
      Number(await rate.getAttribute("aria-valuemin")),
      Number(await rate.getAttribute("aria-valuemax")),
    ];
    await loss.waitFor();
    await drag(page, loss, 0.25, 0.75);
    await page.mouse.move(0, 0);
    const [from, to] = await seen();
    expect(Math.abs(from - 100)).toBeLessThan(5);
    expect(Math.abs(to - 300)).toBeLessThan(5);
    await page.getByText("Pans", { exact: true }).click();
    await drag(page, loss, 0.5, 0.25);
    await expect.poll(async () => Math.abs((await seen())[0] - 150)).toBeLessThan(6);
    await loss.dblclick();
    await expect.poll(seen).toEqual([1, 400]);
    await loss.focus();
    await page.keyboard.press("+");
    await page.keyboard.press("PageUp");
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    const [, at, value] = /^step (\d+); old: ([\d.]+)$/.exec((await reading(page, "Training loss")) ?? "") ?? [];
    expect(Number(at)).toBeGreaterThan(100);
    expect(Number(value)).toBeCloseTo(5 / Math.sqrt(Number(at)), 1);
    await page.keyboard.press("0");
    await expect.poll(seen).toEqual([1, 400]);
    await close();
  });

  it("compares configurations, shows samples beside each other, and lists what there is of a run", async () => {
    const { page, close } = await studio.open("#/runs?run=old&run=sweep/new");
    const views = page.getByRole("navigation", { name: "Views of the chosen runs" });
    await views.getByText("Configuration").click();
    await page.getByRole("row", { name: "model.width 64 128" }).waitFor();
    await views.getByText("Samples").click();
    const newest = page.getByRole("article", { name: "Step 300" });
    expect(await newest.textContent()).toMatch(/old.*Ishmael, said old at 300\..*said sweep\/new at 300\./);
    expect(await page.getByRole("article").first().getAttribute("aria-label")).toBe("Step 400");
    await views.getByText("Details").click();
    const card = page.getByRole("region", { name: "sweep/new", exact: true });
    await expect.poll(() => card.textContent()).toMatch(/stopped.*300 of 500.*longhand train --resume/);
    await close();
  });

  it("says what is wrong with a run that is damaged", async () => {
    const { page, close } = await studio.open("#/runs?run=broken&run=old");
    await page.locator(".run", { hasText: "damaged" }).waitFor();
    await expect.poll(() => reading(page, "Training loss")).toBe("last; old: 0.25");
    await page.getByText("Details", { exact: true }).click();
    expect(await page.getByRole("region", { name: "broken" }).getByRole("alert").textContent()).toContain(
      "config.json",
    );
    await close();
  });

  it("goes on by itself when a run does, and finds runs by words", async () => {
    const { page, close } = await studio.open("#/runs?run=sweep/new");
    await expect.poll(() => reading(page, "Training loss")).toMatch(/0\.2887/);
    appendFileSync(join(studio.runs, "sweep", "new", "metrics.jsonl"), lineOf({ ...trainRecord(301), loss: 0.1234 }));
    await expect.poll(() => reading(page, "Training loss"), { timeout: 10_000 }).toMatch(/0\.1234/);
    expect(await page.locator(".run", { hasText: "sweep/new" }).textContent()).toContain("301 / 500");
    for (let copy = 0; copy < 8; copy++) makeRun(studio.runs, `many-${copy}`, { taken: 3, finished: true });
    await page.getByLabel("Filter").fill("many finished");
    await expect.poll(() => page.locator(".run").count(), { timeout: 10_000 }).toBe(8);
    await close();
  });

  it("starts a training from the form, stops it, and lets it go on", async () => {
    const { page, close } = await studio.open("#/train");
    await page.getByLabel("Data", { exact: true }).first().fill(studio.text);
    const small = { Context: 64, Batch: 1, Steps: 3_000, Vocabulary: 300 };
    for (const [name, value] of Object.entries(small)) await page.getByLabel(name, { exact: true }).fill(String(value));
    await page.getByLabel("Run folder").fill("from-the-page");
    await page.getByRole("button", { name: "Training", exact: true }).click();
    await page.getByLabel("Warmup").fill("0"); // it may end after a few steps
    await page.getByRole("button", { name: "Machine" }).click();
    await page.getByLabel("Threads").fill("1");
    const command = page.getByRole("complementary", { name: "The command" });
    await expect
      .poll(() => command.textContent())
      .toMatch(/longhand train --data .*text\.txt .*--context 64 .*--threads 1/);
    await page.getByRole("button", { name: "Start training" }).click();
    const card = page.getByRole("region", { name: "from-the-page" });
    await expect.poll(() => page.url()).toContain("run=from-the-page");
    await page.locator(".run.on", { hasText: "running" }).waitFor({ timeout: 60_000 });
    await expect.poll(() => card.getByRole("log").textContent(), { timeout: 60_000 }).toMatch(/^\$ longhand train/);
    await expect.poll(() => card.textContent(), { timeout: 60_000 }).toMatch(/steps[1-9][\d,]* of 3,000/);
    await card.getByRole("button", { name: "Stop" }).click();
    const resume = card.getByRole("link", { name: "Resume…" });
    await resume.waitFor({ timeout: 60_000 });
    const taken = Number(/steps([\d,]+) of/.exec((await card.textContent()) ?? "")?.[1].replaceAll(",", ""));
    await resume.click();
    await page.getByLabel("Steps", { exact: true }).fill(String(taken + 3));
    const line = `longhand train --resume \\S*from-the-page --steps ${taken + 3}`;
    await expect.poll(() => command.textContent()).toMatch(new RegExp(line));
    await page.getByRole("button", { name: "Go on" }).click();
    await page.locator(".run.on", { hasText: "finished" }).waitFor({ timeout: 60_000 });
    expect(await card.textContent()).toContain(`steps${(taken + 3).toLocaleString("en")} of`);
    await close();
  });

  it("shows what a training said that failed before there was a run", async () => {
    const { page, close } = await studio.open("#/train");
    await page.getByLabel("Data", { exact: true }).first().fill(join(studio.runs, "no-such-text.txt"));
    await page.getByRole("button", { name: "Start training" }).click();
    const card = page.getByRole("region", { name: "no-such-text" });
    await expect
      .poll(() => card.getByRole("log").textContent(), { timeout: 60_000 })
      .toMatch(/longhand: .*no-such-text/);
    await expect.poll(() => card.textContent(), { timeout: 60_000 }).toMatch(/Output ended with [12]/);
    await close();
  });

  it("has no page that axe finds fault with, at either width", async () => {
    const hashes = ["runs?run=old&run=sweep/new", "runs?run=old&view=configuration", "runs?run=old&view=samples"];
    for (const size of [{ width: 1440, height: 900 }, PHONE]) {
      const { page, close } = await studio.open("#/", size);
      for (const hash of [...hashes, "runs?run=old&view=details", "train", "nowhere"]) {
        await page.goto(`${page.url().split("#")[0]}#/${hash}`);
        await page
          .locator(READY[hash.split("?")[0]] ?? ".card, .grid, .sample, .plot canvas")
          .first()
          .waitFor();
        await expectAccessible(page, `${hash} at ${size.width}`, size === PHONE ? ["dark"] : ["light", "dark"]);
      }
      await close();
    }
  });

  it("says that the studio is gone when it is", async () => {
    const { page, close, problems } = await studio.open("#/");
    await page.getByLabel("Show old", { exact: true }).waitFor();
    await studio.end();
    await page.getByRole("alert").waitFor({ timeout: 15_000 });
    expect(await page.getByRole("alert").textContent()).toContain("does not answer");
    problems();
    await close();
  });
});
