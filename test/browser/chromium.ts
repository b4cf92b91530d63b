/**
 * Pages in a real browser: Chromium by playwright-core, files served on loopback, pages built by Vite. What a page logs as an
 * error, throws, or asks of another machine fails the test that closes it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { build } from "vite";
import { findChromium } from "../system/packages.ts";
import { isLoopback, type Site } from "./site.ts";

/** Chromium's path, if this machine has it. */
export const chromiumPath: string | undefined = findChromium();

/** For the names of tests: `describe.skipIf(chromiumPath === undefined)(`a page${withoutChromium}`, …)`. */
export const withoutChromium = chromiumPath === undefined ? " (needs Chromium: npm run system-packages)" : "";

const OFFLINE = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"];
/** WebGPU computed by the processor, as on a machine without a graphics card. */
const SOFTWARE_GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"];

export interface BrowserOptions {
  /** Whether pages have WebGPU. Default: false. */
  readonly gpu?: boolean;
  /** More of Chromium's flags. */
  readonly flags?: readonly string[];
}

export function openChromium({ gpu = false, flags = [] }: BrowserOptions = {}): Promise<Browser> {
  const args = [...OFFLINE, ...(gpu ? SOFTWARE_GPU : ["--disable-gpu"]), ...flags];
  return chromium.launch({ executablePath: chromiumPath ?? "", args });
}

export interface OpenPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What is wrong so far, taken: errors of the console and requests to other machines. Give what a test expects. */
  problems(): string[];
  /** Closes the page and throws if anything is wrong with it. */
  close(): Promise<void>;
}

export interface PageOptions extends BrowserContextOptions {
  /** Path on the site. Default: "/". */
  readonly path?: string;
  /** A context that there is already: another tab of it, with the same private file system. */
  readonly context?: BrowserContext;
}

export async function openPage(
  browser: Browser,
  site: Pick<Site, "url">,
  options: PageOptions = {},
): Promise<OpenPage> {
  const { path = "/", context = await browser.newContext(options) } = options;
  const found: string[] = [];
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") found.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => found.push(`error: ${error.message}`));
  context.on("request", (request) => {
    if (!isLoopback(request.url())) found.push(`request: ${request.url()}`);
  });
  await page.goto(new URL(path, site.url).href);
  return {
    page,
    context,
    problems: () => found.splice(0),
    async close() {
      await page.close();
      if (options.context === undefined) await context.close();
      if (found.length > 0) throw new Error(`the page has problems:\n${found.join("\n")}`);
    },
  };
}

export interface Built {
  /** With an index.html that loads the script, and what it needs. */
  readonly folder: string;
  remove(): void;
}

/** Builds a script (a path, or a name in `test/browser/pages`) as a page, from the package's sources. */
export async function buildPage(script: string): Promise<Built> {
  const folder = mkdtempSync(join(tmpdir(), `longhand-page-${basename(script)}-`));
  const entry = resolve(import.meta.dirname, "pages", script);
  await build({
    root: join(import.meta.dirname, "pages"),
    base: "./",
    configFile: false,
    logLevel: "error",
    resolve: { conditions: ["longhand-source", "module", "browser"] },
    worker: { format: "es" },
    build: { outDir: folder, emptyOutDir: true, target: "es2023", rolldownOptions: { input: entry } },
    plugins: [
      {
        name: "page",
        generateBundle(_, bundle) {
          const own = Object.values(bundle).find((part) => part.type === "chunk" && part.isEntry);
          const html = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>Test</title><script type="module" src="${own?.fileName}"></script>`;
          this.emitFile({ type: "asset", fileName: "index.html", source: html });
        },
      },
    ],
  });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
