/** The studio as a person has it: the command over a folder of runs, its page in Chromium, and what axe says of it. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { AxeResults } from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { type Running, start, workspace } from "../cli/command.ts";
import { chromiumPath, type OpenPage, openChromium, openPage } from "./chromium.ts";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export interface StudioInBrowser {
  /** Of the runs, which `fill` writes. */
  readonly runs: string;
  /** A text to learn. */
  readonly text: string;
  /** A page at an address after #, in a context of its own. */
  open(hash: string, size?: { readonly width: number; readonly height: number }): Promise<OpenPage>;
  /** Ends the command. */
  end(): Promise<void>;
}

/** Starts the command and the browser before the tests of a file. `fill` makes the runs that are there. */
export function studioInBrowser(fill: (runs: string, text: string) => Promise<void>): StudioInBrowser {
  const { folder, text } = workspace();
  const runs = join(folder, "runs");
  let studio: Running | undefined;
  let browser: Browser | undefined;
  let address = new URL("http://127.0.0.1");

  beforeAll(async () => {
    if (chromiumPath === undefined) return;
    await fill(runs, text);
    studio = start(["studio", runs, "--port", "0", "--json", "--threads", "1"], { timeoutMs: 280_000 });
    browser = await openChromium();
    await studio.saw(/"listening".*\n/);
    address = new URL(/http:\S+?token=[\w-]+/.exec(studio.output().stdout)?.[0] ?? "");
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    studio?.child.kill("SIGKILL");
  });

  return {
    runs,
    text,
    async open(hash, viewport = { width: 1440, height: 900 }) {
      if (browser === undefined) throw new Error("the browser is not there");
      const opened = await openPage(browser, { url: address.origin }, { path: `/${address.search}${hash}`, viewport });
      await opened.page.locator("main").waitFor();
      return opened;
    },
    async end() {
      studio?.child.kill("SIGINT");
      await studio?.ended;
    },
  };
}

/** axe finds nothing in these colour schemes, and nothing is wider than the page. */
export async function expectAccessible(
  page: Page,
  name: string,
  schemes: readonly ("light" | "dark")[] = ["light", "dark"],
): Promise<void> {
  await page.evaluate(axe);
  for (const colorScheme of schemes) {
    await page.emulateMedia({ colorScheme });
    // Colours that are still turning from one scheme to the other are not those that are meant.
    await expect.poll(() => faults(page), { message: `${name}, ${colorScheme}`, timeout: 10_000 }).toEqual([]);
  }
  const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  expect(wide, `${name}: wider than the page`).toBeLessThanOrEqual(width);
}

async function faults(page: Page): Promise<string[]> {
  const { violations }: AxeResults = await page.evaluate('axe.run({ iframes: false, resultTypes: ["violations"] })');
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`);
}
