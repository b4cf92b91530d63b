/**
 * The page to try Longhand in a tab, clicked through as a person would: a long text pasted, learnt, paused, left and gone on
 * with; taken away and brought back; what is no model; writing; from the keyboard, and as axe sees it. Served without headers.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath, openChromium, openPage, withoutChromium } from "./chromium.ts";
import { type Site, serveSite } from "./site.ts";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** Where pictures of the page are kept, if anywhere: LONGHAND_SCREENSHOTS=docs/site. */
const PICTURES = process.env.LONGHAND_SCREENSHOTS;
const LINES = Array.from({ length: 10_000 }, (_, i) => `Line ${i} of a long text: whale, sea and ship.`).join("\n");

declare const axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };

async function expectAccessible(page: Page): Promise<void> {
  await page.addScriptTag({ path: AXE });
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await page.evaluate(() => axe.run());
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
  }
}

async function takePictures(page: Page): Promise<void> {
  if (PICTURES === undefined) return;
  mkdirSync(PICTURES, { recursive: true });
  for (const [width, height] of [
    [390, 1500],
    [1440, 1000],
  ]) {
    for (const colorScheme of ["light", "dark"] as const) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 100))));
      await page.locator(width < 600 ? "#progress" : "header").evaluate((element) => element.scrollIntoView());
      await page.screenshot({ path: join(PICTURES, `tab-${width}-${colorScheme}.png`) });
    }
  }
}

/** Small enough to learn in seconds on one thread. */
async function fillForm(page: Page, steps: number): Promise<void> {
  await page.getByText("More settings").click();
  const values = { Context: 32, Batch: 1, Vocabulary: 300, Steps: steps };
  for (const [label, value] of Object.entries(values)) {
    await page.getByRole("spinbutton", { name: label }).fill(String(value));
  }
}

const stepOf = (page: Page) =>
  page
    .getByLabel(/^Step \d+ of/)
    .getAttribute("value")
    .then(Number);

describe.skipIf(chromiumPath === undefined)(`the page to try Longhand in a tab${withoutChromium}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "longhand-tab-"));
  const dist = join(folder, "site");
  let browser: Browser;
  let site: Site;

  beforeAll(async () => {
    const command = ["run", "--silent", "site", "--", "--no-docs", "--steps", "2", "--out", dist];
    const { status, stderr } = spawnSync("npm", command, { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    browser = await openChromium();
    site = await serveSite({ folders: { "/try/": dist } });
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("learns 10,000 pasted lines, stays through a closed tab, goes out and comes back", async () => {
    const context = await browser.newContext({
      viewport: { width: 390, height: 844 },
      permissions: ["clipboard-read", "clipboard-write"],
    });
    const first = await openPage(browser, site, { context, path: "/try/" });
    await expectAccessible(first.page);
    await first.page.evaluate((lines) => navigator.clipboard.writeText(lines), LINES);
    await first.page.getByLabel("Text", { exact: true }).press("Control+v");
    await first.page.getByText(`${LINES.length.toLocaleString("en")} characters`).waitFor();
    await fillForm(first.page, 16);
    await first.page.getByRole("button", { name: "Start learning" }).press("Enter");
    await first.page.getByRole("button", { name: "Pause" }).click({ timeout: 60_000 });
    await first.page.getByText("paused", { exact: true }).waitFor();
    const paused = await stepOf(first.page);
    expect(paused).toBeLessThan(16);
    await first.page.getByRole("button", { name: "Continue", exact: true }).click();
    await expect.poll(() => stepOf(first.page), { timeout: 60_000 }).toBeGreaterThan(paused + 2);
    await first.page.close(); // in the middle of a step

    const { page, problems, close } = await openPage(browser, site, { context, path: "/try/" });
    await page.getByRole("button", { name: "Continue my text" }).click();
    await page.getByText("finished", { exact: true }).waitFor({ timeout: 60_000 });
    expect(await stepOf(page)).toBe(16);
    expect(await page.getByRole("img", { name: /Loss by step: .* at step 16/ }).count()).toBe(1);
    expect(await page.getByRole("list", { name: "What it writes" }).getByRole("listitem").count()).toBeGreaterThan(1);
    await expectAccessible(page);

    const [download] = await Promise.all([page.waitForEvent("download"), page.getByLabel("Download my text").click()]);
    const zip = join(folder, "my text.zip");
    await download.saveAs(zip);
    expect(readFileSync(zip).length).toBeGreaterThan(1e6);
    await page.getByLabel("Open a zip file").setInputFiles(zip);
    await page.getByRole("button", { name: "Show my text-2" }).waitFor();
    const letter = join(folder, "letter.zip");
    writeFileSync(letter, "Dear reader");
    await page.getByLabel("Open a zip file").setInputFiles(letter);
    await page.getByRole("alert").getByText("letter.zip: this is no zip file").waitFor();
    page.once("dialog", (dialog) => void dialog.accept());
    await page.getByRole("button", { name: "Delete my text-2" }).click();
    await page.getByRole("button", { name: "Show my text-2" }).waitFor({ state: "detached" });

    const written = page.locator("blockquote");
    await page.getByRole("spinbutton", { name: "Tokens" }).fill("20");
    for (const model of ["Moby-Dick, comes with this page", "my text, step 16"]) {
      await page.getByRole("combobox", { name: "Model" }).selectOption(model);
      await page.getByRole("button", { name: "Write", exact: true }).click();
      await expect.poll(() => written.textContent().catch(() => ""), { timeout: 60_000 }).toMatch(/^The whale.+/s);
      await page.getByRole("button", { name: "Stop" }).waitFor({ state: "detached" });
    }
    await page.getByRole("button", { name: "Show my text" }).click();
    await page.getByRole("img", { name: /Loss by step/ }).waitFor();
    await takePictures(page);
    expect(problems()).toEqual([]);
    await close();
    await context.close();
  }, 240_000);

  it("trains on a host without https, and says that nothing is kept there", async () => {
    const plain = await openChromium({ flags: ["--host-resolver-rules=MAP plain.test 127.0.0.1"] });
    const url = site.url.replace("127.0.0.1", "plain.test");
    const { page, problems, close } = await openPage(plain, { ...site, url }, { path: "/try/" });
    await page.getByText("Runs are lost when the tab is closed").waitFor();
    await page.getByLabel("Text", { exact: true }).fill("The sea, the whale and the ship. ".repeat(200));
    await fillForm(page, 2);
    await page.getByRole("button", { name: "Start learning" }).click();
    await page.getByText("finished", { exact: true }).waitFor({ timeout: 60_000 });
    expect(problems().filter((problem) => !problem.startsWith(`request: ${url}`))).toEqual([]);
    await close();
    await plain.close();
  });

  it("is reached from the keyboard, has no room that scrolls sideways, and says what it lacks", async () => {
    const { page, close } = await openPage(browser, site, { path: "/try/", viewport: { width: 390, height: 844 } });
    await page.getByText("One thread: the host does not send the headers").waitFor();
    await page.getByText("No WebGPU").waitFor();
    const reached: string[] = [];
    for (let i = 0; i < 30; i++) {
      await page.keyboard.press("Tab");
      reached.push(
        await page.evaluate(() => document.activeElement?.closest("label, a, button, summary")?.textContent ?? "text"),
      );
    }
    for (const wanted of ["Learn", "text", "Open a file", "Take Moby-Dick", "More settings", "Open a zip file"]) {
      expect(
        reached.some((text) => text.includes(wanted)),
        wanted,
      ).toBe(true);
    }
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    await page.getByRole("button", { name: "Take Moby-Dick" }).click();
    await expect.poll(() => page.getByLabel("Text", { exact: true }).inputValue()).toMatch(/^CHAPTER 1/);
    await close();
  });
});
