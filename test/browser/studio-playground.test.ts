/** The studio's playground by clicking as a person would: writing, attention, reading, filling; and reports. */
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { sampleText, succeed, tiny } from "../cli/command.ts";
import { chromiumPath, withoutChromium } from "./chromium.ts";
import { expectAccessible, studioInBrowser } from "./studio-page.ts";

const PHONE = { width: 390, height: 844 };

const studio = studioInBrowser(async (runs, text) => {
  const train = (name: string, ...more: string[]) =>
    succeed(["train", "--data", text, "--out", join(runs, name), ...tiny, "--steps", "20", ...more]);
  await Promise.all([train("writer"), train("filler", "--objective", "masked")]);
  const report = join(runs, "paper");
  mkdirSync(report);
  cpSync(new URL("../../docs/comparison/quality.csv", import.meta.url), join(report, "quality.csv"));
  writeFileSync(join(report, "reproduce.json"), "{}");
  const script = "<script>document.title = 'it ran'</script>";
  writeFileSync(join(report, "report.html"), `<title>Six models, one book</title><h1>What came out</h1>${script}`);
});

const tokens = (page: Page) => page.getByRole("listbox", { name: "Text, token by token" }).getByRole("option");

async function write(page: Page, beginning: string): Promise<void> {
  await page.getByLabel("Beginning").fill(beginning);
  await page.getByLabel("Tokens", { exact: true }).fill("12");
  await page.getByLabel("Seed").fill("7");
  await page.getByRole("button", { name: "Write", exact: true }).click();
  await page.getByText("tokens a second").waitFor();
}

describe.skipIf(chromiumPath === undefined)(`the playground${withoutChromium}`, { timeout: 120_000 }, () => {
  it("writes, shows what else could have come, and goes on from what is picked", async () => {
    const { page, close } = await studio.open("#/write");
    await write(page, "Call me Ishmael.");
    const given = Number(/(\d+) of them given/.exec((await page.locator(".writing").textContent()) ?? "")?.[1]);
    expect(await tokens(page).count()).toBe(given + 12);
    await tokens(page)
      .nth(given + 3)
      .click();
    const side = page.getByRole("complementary", { name: "The selected token" });
    expect(await side.getByRole("status").textContent()).toMatch(
      new RegExp(`token ${given + 3}.* %, rank \\d.*entropy`),
    );
    const bars = side.getByRole("list", { name: "Alternatives" }).getByRole("button");
    expect(await bars.count()).toBe(12);
    const shares = (await bars.allTextContents()).map((text) =>
      Number.parseFloat(text.replace(/.* (?=[\d.]+ %)/s, "")),
    );
    expect(shares).toEqual([...shares].sort((a, b) => b - a));
    const before = (await tokens(page).allTextContents()).slice(0, given + 3);
    const third = bars.nth(2);
    const picked = await third.locator(".hidden").textContent();
    await third.click();
    await expect.poll(() => tokens(page).count()).toBe(given + 4 + 12);
    const after = await tokens(page).allTextContents();
    expect(after.slice(0, given + 3)).toEqual(before);
    expect(after[given + 3].trim()).toBe(picked?.trim());
    await page.getByRole("button", { name: "Go on" }).click();
    await expect.poll(() => tokens(page).count()).toBe(given + 4 + 24);
    await close();
  });

  it("shows what a token attends to, from the keyboard", async () => {
    const { page, close } = await studio.open("#/write?side=attention");
    await write(page, "Call me Ishmael. Some years ago, never mind how long precisely, having little or no money");
    await page.getByRole("listbox").focus();
    await page.keyboard.press("End");
    await page.keyboard.press("ArrowLeft");
    const layers = page.getByRole("radiogroup", { name: "Layer that shades the text" });
    await layers.getByRole("radio").first().waitFor();
    expect(await layers.getByText(/% local, .* % distant/).count()).toBe(1);
    const strip = layers.getByRole("img");
    expect(await strip.getAttribute("aria-label")).toMatch(/^most on|^no weight/);
    // The cells of the strip are the tokens of the chunk of 16 up to the position.
    const cells = await strip.locator("span").count();
    const position = (await tokens(page).count()) - 2;
    expect(cells).toBe((position % 16) + 1);
    expect(await page.locator(".tokens.attention").count()).toBe(1);
    await close();
  });

  it("reads a text that is pasted, or a file, shaded by surprise", async () => {
    const { page, close } = await studio.open("#/read");
    await page.getByLabel("Text to read").fill(sampleText(600));
    await page.getByRole("button", { name: "Read", exact: true }).click();
    const result = page.getByRole("region", { name: "Result" });
    await result.waitFor();
    const perplexity = Number(/perplexity([\d.]+)bits/.exec((await result.textContent()) ?? "")?.[1]);
    expect(perplexity).toBeGreaterThan(2);
    expect(perplexity).toBeLessThan(1000);
    await page.getByRole("listbox").focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await page.getByText(/^token 1: [\d.]+ bits$/).waitFor();
    const plot = page.getByRole("slider", { name: "Perplexity against position" });
    expect(await plot.getAttribute("aria-valuetext")).toMatch(/^token 1; perplexity: [\d.]+$/);
    const long = { name: "book.txt", mimeType: "text/plain", buffer: Buffer.from(sampleText(8_000)) };
    await page.getByLabel("Open a file").setInputFiles(long);
    await page.getByRole("button", { name: "Read", exact: true }).click();
    await page.getByRole("button", { name: "Later" }).click({ timeout: 30_000 });
    await page.getByText(/^tokens 2,000 to [\d,]+ of/).waitFor();
    await page.getByRole("button", { name: "Take it away" }).click();
    await page.getByLabel("Text to read").waitFor();
    await close();
  });

  it("takes 10,000 lines that are pasted, shows what is read so far, and stops", async () => {
    const { page, close } = await studio.open("#/read");
    await page.getByLabel("Text to read").focus();
    await page.evaluate((text) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", text);
      const options = { clipboardData, bubbles: true, cancelable: true, composed: true };
      document.activeElement?.dispatchEvent(new ClipboardEvent("paste", options));
    }, "A line of a book that is long.\n".repeat(10_000));
    await page.getByText("Pasted text").waitFor();
    await page.getByRole("button", { name: "Read", exact: true }).click();
    await page.getByRole("listbox").getByRole("option").first().waitFor({ timeout: 60_000 });
    await page.getByRole("button", { name: "Stop" }).click();
    await expect.poll(() => page.getByRole("button", { name: "Stop" }).isDisabled()).toBe(true);
    expect(await page.getByRole("listbox").getByRole("option").count()).toBeGreaterThan(100);
    await close();
  });

  it("fills blanks and takes what is picked", async () => {
    const { page, close } = await studio.open("#/fill");
    await page.getByLabel("Text with blanks").fill("The [MASK] and the ");
    await page.getByRole("button", { name: "Add a blank" }).click();
    await page.getByRole("button", { name: "Fill", exact: true }).click();
    const second = page.getByRole("region", { name: "Blank 2" }).getByRole("button").nth(1);
    await second.click();
    const word = (await second.locator(".token-name").textContent())?.replaceAll("␣", " ").replaceAll("↵", "\n");
    expect(await page.locator(".filled mark").nth(1).textContent()).toBe(word);
    expect(await page.locator(".filled").textContent()).toMatch(/^The .* and the /s);
    await close();
  });

  it("shows reports in a frame where nothing runs", async () => {
    const { page, close, problems } = await studio.open("#/reports");
    const frame = page.frameLocator("iframe");
    expect(await frame.getByRole("heading").textContent()).toBe("What came out");
    expect(await page.locator("iframe").getAttribute("sandbox")).toBe("");
    expect(await frame.locator("title").textContent()).toBe("Six models, one book");
    await page.getByText("Plots and tables").click();
    await page.getByRole("link", { name: "quality.csv" }).waitFor();
    // Chromium says of the script in the report that it was kept from running.
    expect(problems().every((problem) => problem.includes("Blocked script execution"))).toBe(true);
    await close();
  });

  it("has no page that axe finds fault with, at either width", async () => {
    for (const size of [{ width: 1440, height: 900 }, PHONE]) {
      const { page, close, problems } = await studio.open("#/write", size);
      const schemes = size === PHONE ? (["dark"] as const) : (["light", "dark"] as const);
      const check = (name: string) => expectAccessible(page, `${name} at ${size.width}`, schemes);
      const go = (hash: string) => page.goto(`${page.url().split("#")[0]}#/${hash}`);
      await write(page, "Call me Ishmael.");
      await tokens(page).nth(4).click();
      await check("writing");
      await page.getByText("Attention", { exact: true }).click();
      await page.getByRole("radiogroup", { name: "Layer that shades the text" }).waitFor();
      await check("attention");
      await go("read");
      await page.getByLabel("Text to read").fill(sampleText(300));
      await page.getByRole("button", { name: "Read", exact: true }).click();
      await page.getByRole("region", { name: "Result" }).waitFor();
      await check("reading");
      await go("fill");
      await page.getByRole("button", { name: "Fill", exact: true }).click();
      await page.getByRole("region", { name: "Blank 1" }).waitFor();
      await check("filling");
      await go("reports");
      await page.locator("iframe").waitFor();
      await check("reports");
      problems();
      await close();
    }
  });
});
