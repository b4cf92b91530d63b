/** Where a page gets a model from, what it keeps of it, and what it says of what is none. */
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Built, buildPage, chromiumPath, openChromium, openPage, withoutChromium } from "./chromium.ts";
import type { LoadAndClose, Longhand } from "./pages/model.ts";
import { type Site, serveSite } from "./site.ts";
import { type Exports, lines, trainedExports } from "./trained.ts";

declare const longhand: Longhand;
declare const load: LoadAndClose;

const URL_OF = "/models/one/";

describe.skipIf(chromiumPath === undefined)(`a page loads${withoutChromium}`, { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "longhand-loading-"));
  const at = (...names: string[]) => join(folder, ...names);
  let exported: Exports;
  let built: Built;
  let browser: Browser;
  let site: Site;
  beforeAll(async () => {
    exported = await trainedExports({ one: { chunk: 16 }, two: { chunk: 16, seed: 2 } });
    for (const name of ["one", "two", "changed"])
      cpSync(exported.of(name === "two" ? "two" : "one"), at(name), { recursive: true });
    writeFileSync(at("picture.jpg"), Buffer.from([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3]));
    built = await buildPage("model.ts");
    browser = await openChromium();
    site = await serveSite({ folders: { "/": built.folder, "/models/": folder } });
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    exported?.remove();
    built?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A page with a private file system of its own. */
  const open = (context?: BrowserContext) => openPage(browser, site, context && { context });
  const quotaOf = async ({ page, context }: Awaited<ReturnType<typeof open>>, bytes: number) => {
    const session = await context.newCDPSession(page);
    await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(site.url).origin, quotaSize: bytes });
  };

  it("from a URL once, then its copy as long as the URL has the same, or cannot be reached", async () => {
    const { page, close, context, problems } = await open();
    const first = await page.evaluate((url) => load({ url }), URL_OF);
    expect(first.problem).toBeUndefined();
    expect(first.facts).toMatchObject({ path: `${site.url}models/one/`, fromStore: false, step: 20 });
    expect(first.facts?.notKept).toBeUndefined();
    const bytes = (name: string) => readFileSync(at("one", name)).length;
    const total = ["config.json", "tokenizer.json", "model.safetensors"].reduce((sum, name) => sum + bytes(name), 0);
    const reads = first.progress.filter(({ phase }) => phase === "read").map(({ bytes }) => bytes);
    expect(reads).toEqual([...reads].sort((a, b) => a - b));
    expect(first.progress.at(-1)).toEqual({ phase: "keep", bytes: total, totalBytes: total });

    const before = site.requests.length;
    const again = await page.evaluate((url) => load({ url }), URL_OF);
    expect(again.facts?.fromStore).toBe(true);
    const asked = site.requests.slice(before).filter((path) => path.startsWith("/models/"));
    expect(asked).toEqual(["/models/one/config.json"]);

    await context.route("**/models/**", (route) => route.abort());
    const unreachable = await page.evaluate(
      (url) => Promise.all([load({ url }), load({ url: "/models/two" })]),
      URL_OF,
    );
    expect(unreachable[0].facts?.fromStore).toBe(true);
    expect(unreachable[1].problem).toMatch(/^io .+\/models\/two\/config.json: it cannot be fetched/);
    await context.unroute("**/models/**");

    renameSync(at("one"), at("old"));
    cpSync(at("two"), at("one"), { recursive: true });
    const other = await page.evaluate((url) => load({ url }), URL_OF);
    expect(other.facts?.fromStore).toBe(false);
    const kept = await page.evaluate((url) => load({ url }), URL_OF);
    expect(kept.facts?.fromStore).toBe(true);
    rmSync(at("one"), { recursive: true });
    renameSync(at("old"), at("one"));
    expect(problems().every((problem) => problem.includes("net::ERR_FAILED"))).toBe(true);
    await close();
  });

  it("nothing from a copy that was damaged, or whose entry is of another version: from the URL again", async () => {
    const { page, close } = await open();
    const found = await page.evaluate(async (url) => {
      const change = async (name: string, change: (text: string) => string) => {
        const root = await navigator.storage.getDirectory();
        const models = await (await root.getDirectoryHandle("longhand")).getDirectoryHandle("models");
        for await (const key of models.keys()) {
          const file = await (await models.getDirectoryHandle(key)).getFileHandle(name);
          const text = change(await (await file.getFile()).text());
          const stream = await file.createWritable();
          await stream.write(text);
          await stream.close();
        }
      };
      const fromStore: (boolean | undefined)[] = [];
      const again = async () => fromStore.push((await load({ url })).facts?.fromStore);
      await again();
      await change("tokenizer.json", (text) => text.replace("a", "b"));
      await again();
      await change("entry.json", (text) => text.replace('"version": 1', '"version": 2'));
      await again();
      await again();
      return fromStore;
    }, URL_OF);
    expect(found).toEqual([false, false, false, true]);
    await close();
  });

  it("no more copies than their limit, the last used", async () => {
    const { page, close } = await open();
    const copies = await page.evaluate(async () => {
      await load({ url: "/models/one/" });
      const [{ bytes }] = await longhand.storedModels();
      const options = { copiesLimit: 1.5 * bytes };
      const refused = await load({ url: "/models/two/" }, { copiesLimit: bytes / 2 });
      await load({ url: "/models/two/" }, options);
      const names = (await longhand.storedModels()).map(({ name }) => name);
      await longhand.removeStoredModel(names[0]);
      return { names, left: await longhand.storedModels(), notKept: refused.facts?.notKept };
    });
    expect(copies.names).toEqual([`${site.url}models/two/`]);
    expect(copies.left).toEqual([]);
    expect(copies.notKept).toMatch(/more than all copies may take/);
    await close();
  });

  it("files that a person picked, and keeps them under a name for the next visit", async () => {
    const { page, close, context } = await open();
    await page.evaluate(() => {
      document.body.innerHTML = `<input type="file" id="folder" webkitdirectory><input type="file" id="files" multiple>`;
    });
    await page.locator("#folder").setInputFiles(at("one"));
    const picked = await page.evaluate(() => {
      const input = document.querySelector<HTMLInputElement>("#folder");
      return load({ files: [...(input?.files ?? [])], keep: "my model" });
    });
    expect(picked.problem).toBeUndefined();
    expect(picked.facts).toMatchObject({ path: "one", fromStore: false });
    await page
      .locator("#files")
      .setInputFiles(["config.json", "tokenizer.json", "model.safetensors"].map((name) => at("two", name)));
    const single = await page.evaluate(() => {
      const input = document.querySelector<HTMLInputElement>("#files");
      return load({ files: [...(input?.files ?? [])] });
    });
    expect(single.facts).toMatchObject({ path: "the files", fromStore: false });
    const later = await open(context);
    const stored = await later.page.evaluate(async () => ({
      models: await longhand.storedModels(),
      mine: await load({ stored: "my model" }),
      none: await load({ stored: "another" }),
    }));
    expect(stored.models).toMatchObject([{ name: "my model", copy: false }]);
    expect(stored.mine.facts).toMatchObject({ path: "my model", fromStore: true });
    expect(stored.none.problem).toBe("usage stored: there is no model of the name another");
    await later.close();
    await close();
  });

  it("nothing from files that are no model: one sentence says which and why", async () => {
    const { page, close, problems } = await open();
    await page.evaluate(() => {
      document.body.innerHTML = `<input type="file" multiple>`;
    });
    const given = async (files: Readonly<Record<string, string | Buffer>>) => {
      const list = Object.entries(files).map(([name, content]) => ({
        name,
        mimeType: "",
        buffer: Buffer.from(content),
      }));
      await page.locator("input").setInputFiles(list);
      return (await page.evaluate(() => load({ files: [...(document.querySelector("input")?.files ?? [])] }))).problem;
    };
    const file = (name: string) => readFileSync(at("one", name));
    const whole = () =>
      Object.fromEntries(["config.json", "tokenizer.json", "model.safetensors"].map((name) => [name, file(name)]));
    const damaged = Buffer.from(file("model.safetensors"));
    damaged[damaged.length >> 1] ^= 1;
    const edited = file("config.json").toString().replace('"width": 40', '"width": 80');
    expect(await given({ "picture.jpg": readFileSync(at("picture.jpg")) })).toBe(
      "usage files: expected config.json, tokenizer.json and model.safetensors of a folder that longhand export writes, got picture.jpg",
    );
    expect(await given({ ...whole(), "config.json": "hello" })).toMatch(/^config config.json: it is not valid JSON/);
    expect(await given({ ...whole(), "config.json": readFileSync(at("picture.jpg")) })).toMatch(
      /^checkpoint config.json: it is not UTF-8 text/,
    );
    expect(await given({ ...whole(), "config.json": "{}" })).toBe(
      "config config.json: it is not the configuration of an export",
    );
    expect(await given({ ...whole(), "config.json": edited })).toMatch(
      /^config config.json: it does not match its own checksum/,
    );
    expect(await given({ ...whole(), "config.json": " ".repeat(2 ** 20 + 1) })).toMatch(
      /^config config.json: over 1048576 bytes/,
    );
    expect(await given({ ...whole(), "tokenizer.json": "{}" })).toMatch(
      /^checkpoint tokenizer.json: 2 bytes long instead of \d+: it was cut short/,
    );
    expect(await given({ ...whole(), "model.safetensors": damaged })).toMatch(
      /^checkpoint model.safetensors: it does not match its checksum/,
    );
    expect(await given({ ...whole(), "model.safetensors": damaged.subarray(1) })).toMatch(
      /^checkpoint model.safetensors: \d+ bytes long instead of/,
    );
    const { "model.safetensors": _, ...incomplete } = whole();
    expect(await given(incomplete)).toBe("checkpoint model.safetensors: it is missing");
    const nowhere = await page.evaluate(() => load({ url: "/models/nowhere" }));
    expect(nowhere.problem).toMatch(/^checkpoint .+\/models\/nowhere\/config.json: the server answers 404 Not Found/);
    expect(await page.evaluate(() => longhand.storedModels())).toEqual([]);
    expect(problems().every((problem) => problem.includes("404"))).toBe(true);
    await close();
  });

  it("without a copy where the private file system is full, and says so; a model with a name is then refused", async () => {
    const opened = await open();
    const { page, close } = opened;
    await quotaOf(opened, 50_000);
    const found = await page.evaluate(async (url) => {
      const copy = await load({ url });
      const files = ["config.json", "tokenizer.json", "model.safetensors"].map(async (name) => {
        return new File([await (await fetch(`${url}${name}`)).blob()], name);
      });
      const named = await load({ files: await Promise.all(files), keep: "mine" });
      return { copy, named, left: await longhand.storedModels() };
    }, URL_OF);
    expect(found.copy.problem).toBeUndefined();
    expect(found.copy.facts?.notKept).toMatch(/the browser's private file system is full: .+ MB of .+ MB are used/);
    expect(found.named.problem).toMatch(/^io .+: the browser's private file system is full/);
    expect(found.left).toEqual([]);
    await close();
  });

  it("no further when it is cancelled, and leaves nothing behind", async () => {
    const { page, close } = await open();
    const found = await page.evaluate(async (url) => {
      const outcomes: (string | undefined)[] = [];
      for (const phase of ["read", "start", "keep"]) {
        const cancel = new AbortController();
        const onProgress = (progress: { readonly phase: string }) => {
          if (progress.phase === phase) cancel.abort(new Error(`cancelled at ${phase}`));
        };
        outcomes.push((await load({ url }, { signal: cancel.signal, onProgress })).problem);
      }
      outcomes.push((await load({ url }, { signal: AbortSignal.abort() })).problem);
      return { outcomes, left: await longhand.storedModels(), after: await load({ url }) };
    }, URL_OF);
    expect(found.outcomes.slice(0, 3)).toEqual(["read", "start", "keep"].map((phase) => `cancelled at ${phase}`));
    expect(found.outcomes[3]).toMatch(/aborted/);
    expect(found.left).toEqual([]);
    expect(found.after.facts?.fromStore).toBe(false);
    await close();
  });

  it("what writes far beyond its context while the page goes on, until it is stopped; several at once", async () => {
    const { page, close } = await open();
    const found = await page.evaluate(
      async ([url, prompt]) => {
        const model = await longhand.loadModel({ url });
        let ticks = 0;
        const clock = setInterval(() => ticks++, 1);
        const stop = new AbortController();
        const write = async (signal?: AbortSignal) => {
          let text = "";
          for await (const piece of model.generate({ prompt, tokens: 1500, temperature: 0, signal })) {
            if (piece.type === "end")
              return { text, whole: piece.text, tokens: piece.tokens, stopReason: piece.stopReason };
            text += piece.text;
            if (text.length > 1000) stop.abort();
          }
          throw new Error("no end");
        };
        const [one, two] = await Promise.all([write(), write(stop.signal)]);
        clearInterval(clock);
        const problems: string[] = [];
        for (const wrong of [() => model.fill("a [MASK]"), () => model.generate({ prompt, temperature: -1 }).next()])
          await wrong().catch((error: Error) => problems.push(error.message));
        for await (const piece of model.generate({ prompt, tokens: 100_000 })) if (piece.type === "text") break;
        model.close();
        await model.fill("a [MASK]").catch((error: Error) => problems.push(error.message));
        return { one, two, ticks, problems };
      },
      [URL_OF, lines[3]] as const,
    );
    expect(found.one).toMatchObject({ tokens: 1500, stopReason: "length" });
    expect(found.one.text).toBe(found.one.whole);
    expect(found.two.stopReason).toBe("aborted");
    expect(found.two.tokens).toBeLessThan(1500);
    expect(found.ticks).toBeGreaterThan(20);
    expect(found.problems[0]).toMatch(/causal objective and cannot fill in blanks/);
    expect(found.problems[1]).toMatch(/`temperature`/);
    expect(found.problems[2]).toBe("model: used after it was closed");
    await close();
  });
});
