/**
 * The report of a made-up comparison: its figures worked out by hand, its page and plots whole without anything else.
 */
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import {
  identity,
  madeResults,
  manifestOf,
  positionsOf,
  readingFarther,
  trainResult,
} from "../../test/support/reproduce-results.ts";
import { csvFiles, csvText } from "./csv.ts";
import { summarise } from "./summary.ts";
import { plotFiles, reportHtml } from "./write.ts";

const results = madeResults();
const summary = summarise(manifestOf(results), results);
const html = reportHtml(summary);
const { document } = parseHTML(html);
const cells = (caption: RegExp) => {
  const table = [...document.querySelectorAll("table")].find((each) =>
    caption.test(each.querySelector("caption")?.textContent ?? ""),
  );
  if (table === undefined) throw new Error(`no table ${caption}`);
  return [...table.querySelectorAll("tr")].map((row) => [...row.children].map((cell) => cell.textContent));
};

describe("the summary", () => {
  it("takes ratios to Transformer++ round by round", () => {
    // (200 + 0.1 * 8192) * 1.13 µs against 250 * 1.05 µs a token, in every round.
    const row = summary.speed.find(({ model, context }) => model === "flash" && context === 8192);
    expect(row?.timesAsFast?.median).toBeCloseTo((1019.2 * 1.13) / (250 * 1.05), 9);
    expect(row?.timesAsFast?.low).toBeCloseTo(row?.timesAsFast?.high ?? 0, 9);
    expect(row?.microsecondsPerToken?.median).toBeCloseTo(250 * 1.05 * 1.02, 9);
    expect(row?.gigaflopsPerSecond).toBeCloseTo(3e7 / (250 * 1.05 * 1.02) / 1e3, 9);
    expect(row?.optimizerShare).toBeCloseTo(0.02, 12);
  });

  it("shows each model at its best learning rate, with all that were tried", () => {
    const flash = summary.quality.find(
      ({ model, context, objective }) => model === "flash" && context === 512 && objective === "causal",
    );
    expect(flash?.lr).toBe(0.002);
    expect(flash?.rates.map(({ lr }) => lr)).toEqual([0.001, 0.004, 0.002]);
    expect(flash?.loss).toBeCloseTo(3.9 + 3 / 9 + 0.01, 12);
  });

  it("finds the paper's speed-up on the curves", () => {
    // FLASH's loss e(s) = 3.9 + 3 / (1 + s / 10) meets Transformer++'s last, 4 + 3 / 9, between steps 50 (4.4) and 60 (3.9 + 3 / 7).
    const target = 4 + 3 / 9;
    const share = (4.4 - target) / (4.4 - (3.9 + 3 / 7));
    const seconds = 2 * (50 + 10 * share);
    const row = summary.speedUps.find(({ model, context }) => model === "flash" && context === 8192);
    expect(row?.seconds).toBeCloseTo(seconds, 9);
    expect(row?.speedUp).toBeCloseTo(640 / seconds, 9);
    expect(summary.speedUps.find(({ model }) => model === "combiner")).toMatchObject({ seconds: null, speedUp: null });
  });

  it("compares FLASH's contexts with its shortest", () => {
    expect(summary.flat.map(({ context }) => context)).toEqual([512, 2048, 8192, 32768, 65536]);
    expect(summary.flat[4].timeRatio?.median).toBeCloseTo((1 + 65536 / 4e6) / (1 + 512 / 4e6), 9);
    expect(summary.flat[0].memoryRatio).toBe(1);
  });
});

describe("beyond the training context", () => {
  const beyondOf = (name: string) =>
    summary.quality.find(({ model, beyond }) => model === name && beyond !== undefined)?.beyond;

  it("takes each range of positions from the shortest window that has it", () => {
    const flash = beyondOf("flash");
    expect(flash?.windows.map(({ window }) => window)).toEqual([512, 2048, 8192, 32_768]);
    expect(flash?.windows[2].perplexity).toBeCloseTo(Math.exp(5), 9);
    expect(flash?.windows[2].tokens).toBe(8 * 8192);
    expect(flash?.byPosition.map(({ from, to, window }) => [from, to, window])).toEqual([
      ...[0, 16, 32, 64, 128, 256].map((from) => [from, from === 0 ? 16 : 2 * from, 512]),
      ...[512, 1024].map((from) => [from, 2 * from, 2048]),
      ...[2048, 4096].map((from) => [from, 2 * from, 8192]),
      ...[8192, 16_384].map((from) => [from, 2 * from, 32_768]),
    ]);
    // Nats of the first range of the training: the last loss of training and 1 more.
    expect(flash?.byPosition[0].perplexity).toBeCloseTo(Math.exp(3.9 + 3 / 9 + 1), 9);
    expect(flash?.byPosition.at(-1)?.perplexity).toBeCloseTo(Math.exp(8), 6);
    expect(flash?.leftOut).toEqual([]);
  });

  it("takes the windows of the training from the text that the longer ones were read in, where they were", () => {
    const read = readingFarther(trainResult({ model: "flash", context: 512, end: 3.9, stepMs: 1000 }), 32_768);
    const own = { window: 512, byPosition: positionsOf(512, () => 5), leftOut: null };
    const result = { ...read, beyond: [own, ...(read.beyond ?? [])] };
    const [{ beyond }] = summarise(manifestOf([result]), [result]).quality;
    expect(beyond?.windows.map(({ window }) => window)).toEqual([512, 2048, 8192, 32_768]);
    expect(beyond?.windows[0].perplexity).toBeCloseTo(Math.exp(5), 9);
    expect(beyond?.byPosition[0].perplexity).toBeCloseTo(Math.exp(5), 9);
  });

  it("shows windows in a table, and why a model did not read farther", () => {
    expect(beyondOf("transformer++")?.leftOut.map(({ window }) => window)).toEqual([8192, 32_768]);
    const table = cells(/^Held-out perplexity in windows/);
    expect(table[0]).toEqual(["", "512", "2,048", "8,192", "32,768"]);
    expect(table.find(([name]) => name === "FLASH")?.slice(2)).toEqual(["70.11", "148", "2,981"]);
    expect(table.find(([name]) => name === "Transformer++")?.slice(2)).toEqual(["70.11", "–", "–"]);
    expect(cells(/^What is not in/)).toContainEqual([
      "perplexity of Transformer++ in windows of 8,192 tokens",
      "it needs about 30.0 GB and there are 21.0 GB",
    ]);
    expect(
      cells(/^Perplexity by range of positions, as in the plot/)
        .at(-1)
        ?.slice(0, 2),
    ).toEqual(["16,384–32,767", "32,768"]);
  });
});

describe("recall", () => {
  it("counts the answers of all seeds together", () => {
    expect(summary.recall.map(({ model, ablation, seeds }) => [model, ablation, seeds])).toEqual([
      ["flash", null, 2],
      ["transformer++", null, 2],
      ["flash", "local", 2],
    ]);
    const far = summary.recall[0].points.find(({ task, distance }) => task === "name" && distance === 4096);
    expect(far).toMatchObject({ asked: 32, correct: 9, accuracy: 9 / 32, lowest: 4 / 16, highest: 5 / 16 });
    expect(summary.recall[1].leftOut).toEqual({ distance: 2048, why: "asking takes longer than the training did" });
    expect(summary.recall[0].leftOut).toBeNull();
  });

  it("shows each task by distance, with the range of the seeds", () => {
    const table = cells(/^Right answers at a distance of so many tokens: a name$/);
    expect(table).toEqual([
      ["", "learning rate", "seeds", "16", "64", "256", "1,024", "4,096", "16,384"],
      ["FLASH", "0.002", "2", "100 %", "100 %", "100 %", "100 %", "28 % (25 %–31 %)", "28 % (25 %–31 %)"],
      ["Transformer++", "0.002", "2", "100 %", "100 %", "100 %", "28 % (25 %–31 %)", "–", "–"],
      ["FLASH local", "0.002", "2", "100 %", ...new Array(5).fill("28 % (25 %–31 %)")],
    ]);
    expect(cells(/^What is not in/)).toContainEqual([
      "recall of Transformer++ over 2,048 tokens and more",
      "asking takes longer than the training did",
    ]);
  });
});

describe("the page", () => {
  it("needs nothing else: no scripts, no requests", () => {
    expect(html.replaceAll("http://www.w3.org/", "")).not.toMatch(/https?:|<script|<link|<img|@import|url\((?!#)/);
    expect(html).toContain("prefers-color-scheme:dark");
    expect(document.querySelector("title")?.textContent).toBe("Transformer quality in linear time, rerun");
  });

  it("has plots with names, no value that is no number, and unique ids", () => {
    const plots = [...document.querySelectorAll("svg")];
    expect(plots.length).toBe(15);
    for (const plot of plots) expect(plot.getAttribute("aria-label")?.length).toBeGreaterThan(10);
    expect(html).not.toMatch(/NaN|undefined|Infinity/);
    const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("has the figures in its tables", () => {
    expect(cells(/^Times as fast/)[0]).toEqual(["", "512", "1,024", "2,048", "4,096", "8,192", "16,384", "32,768"]);
    const flash = cells(/^Times as fast/).find(([name]) => name === "FLASH");
    expect(flash?.[5]).toBe("4.39 (4.39–4.39)");
    expect(flash?.[7]).toBe("–");
    const quality = cells(/: causal, context 8,192$/);
    expect(quality.find(([name]) => name === "FLASH")?.slice(0, 3)).toEqual(["FLASH", "69.64", "−9.5 %"]);
    expect(
      cells(/^Speed-up by the paper/)
        .find(([name, trained]) => name === "FLASH" && trained === "causal, context 8,192")
        ?.at(-1),
    ).toBe("5.39 times");
    expect(cells(/^Held-out perplexity after/)[1].slice(0, 4)).toEqual([
      "FLASH",
      "Mixed chunk attention, as in the paper.",
      "69.64",
      "+0.0 %",
    ]);
    expect(cells(/^Training speed-up of FLASH/).map((row) => [row[0], row[2]])).toEqual([
      ["the paper's corpus", "the paper, up to"],
      ["Wiki-40B", "4.9 times"],
      ["PG-19", "12.1 times"],
      ["C4", "4.8 times"],
    ]);
    expect(cells(/^What is not in/).flat()).toContain("speed of Transformer++ at context 32,768");
    expect(document.body.textContent).toContain("Test processor, 2 processors, 2 threads, 24 GiB");
  });

  it("escapes what comes from outside", () => {
    const failed = { ...results[0], identity: { ...identity, cpu: '<b>&"' } };
    const page = reportHtml(summarise(manifestOf([failed]), [failed]));
    expect(page).toContain("&lt;b&gt;&amp;&quot;");
    expect(page).not.toContain("<b>&");
  });

  it("says where figures come from two machines", () => {
    const [first, ...others] = results;
    const page = reportHtml(
      summarise(manifestOf(results), [{ ...first, identity: { ...identity, node: "v22.0.0" } }, ...others]),
    );
    expect(page).toContain("Machine 2: Test processor");
    expect(page).toMatch(/The figures come from 2 machines or versions: machine 1: speed FLASH 512/);
  });

  it("is made of one section too, and of a training that failed", () => {
    const one = {
      ...trainResult({ model: "flash", context: 512, end: 4, stepMs: 1000 }),
      final: null,
      curve: [],
      failure: "diverged: at step 10 the held-out loss is not finite",
    };
    const page = reportHtml(summarise(manifestOf([one]), [one]));
    expect(page).toContain("diverged: at step 10");
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe("CSV", () => {
  it("has a row a measurement, and quotes what must be", () => {
    const files = csvFiles(summary);
    expect(Object.keys(files)).toEqual([
      "speed.csv",
      "flash-flat.csv",
      "quality.csv",
      "curves.csv",
      "speed-ups.csv",
      "ablations.csv",
      "recall.csv",
      "positions.csv",
      "context-use.csv",
    ]);
    expect(files["speed.csv"].trimEnd().split("\r\n")).toHaveLength(1 + 6 * 8 + 2);
    expect(csvText([{ a: 'x "y", z', b: null, c: 1.5 }])).toBe('a,b,c\r\n"x ""y"", z",,1.5\r\n');
  });
});

describe("the plots as files", () => {
  const files = Object.entries(plotFiles(summary));

  it("are perplexity against time for each objective and context, and against position", () => {
    const groups = new Set(summary.quality.map(({ objective, context }) => `quality-${objective}-${context}.svg`));
    expect(files.map(([name]) => name)).toEqual([...groups, "beyond.svg"]);
  });

  it.each(files)("%s is whole by itself: a picture with a name, its colours and all its lines", (_, text) => {
    expect(text).toMatch(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(text.match(/<svg/g)).toHaveLength(1);
    expect(text).not.toMatch(/NaN|undefined/);
    for (const [, name] of text.matchAll(/var\((--[^,)]+)/g)) expect(text).toContain(`${name}:#`);
    const { document: picture } = parseHTML(text);
    expect(picture.querySelector("svg")?.getAttribute("aria-label")).toMatch(/^Held-out perplexity against/);
    expect(picture.querySelectorAll(`[aria-label="line"] path`).length).toBeGreaterThan(1);
  });
});

describe("several seeds", () => {
  const ends = [3.9, 3.95, 3.88];
  const pair = (i: number, seed?: number) => [
    trainResult({ model: "flash", context: 512, end: ends[i], stepMs: 1000, ...(seed && { seed }) }),
    trainResult({ model: "transformer++", context: 512, end: 4, stepMs: 900 + 100 * i, ...(seed && { seed }) }),
  ];
  const all = [...pair(0), ...pair(1, 2), ...pair(2, 3)];
  const worse = trainResult({ model: "flash", context: 512, lr: 8e-3, end: 4.5, stepMs: 1000 });
  const made = summarise(manifestOf([...all, worse]), [...all, worse]);
  const [flash] = made.quality;
  const perplexities = ends.map((end) => Math.exp(end + 3 / 9 + 0.01));
  const average = (perplexities[0] + perplexities[1] + perplexities[2]) / 3;

  it("give their mean and standard deviation, at the rate that the first has chosen", () => {
    expect(made.quality.map(({ model }) => model)).toEqual(["flash", "transformer++"]);
    expect(flash.runs.map(({ seed }) => seed)).toEqual([1, 2, 3]);
    expect(flash.perplexity).toBeCloseTo(average, 9);
    const squares = perplexities.reduce((sum, each) => sum + (each - average) ** 2, 0);
    expect(flash.deviation).toBeCloseTo(Math.sqrt(squares / 2), 9);
    expect(flash.rates.map(({ lr }) => lr)).toEqual([0.002, 0.008]);
    expect(made.quality[1].deviation).toBe(0);
    expect(made.quality[1].trainingSeconds).toBeCloseTo(80, 9);
  });

  it("have a curve from the lowest to the highest", () => {
    const last = flash.curve.at(-1);
    expect(last?.step).toBe(80);
    expect(last?.lowest).toBeCloseTo(Math.exp(3.88 + 3 / 9), 9);
    expect(last?.highest).toBeCloseTo(Math.exp(3.95 + 3 / 9), 9);
    expect(flash.byPosition[0].tokens).toBe(3 * 8 * 16);
  });

  it("are compared in time each with Transformer++ from the same seed", () => {
    // e(s) = end + 3 / (1 + s / 10) meets 4 + 3 / 9 between two evaluations; Transformer++ took 72, 80 and 88 s.
    const loss = (end: number, step: number) => end + 3 / (1 + step / 10);
    const secondsOf = (end: number) => {
      const step = [20, 30, 40, 50, 60, 70, 80].find((at) => loss(end, at) <= 4 + 3 / 9) ?? Number.NaN;
      const [before, after] = [loss(end, step - 10), loss(end, step)];
      return step - 10 + (10 * (before - 4 - 3 / 9)) / (before - after);
    };
    const ups = ends.map((end, i) => (72 + 8 * i) / secondsOf(end));
    const [row] = made.speedUps;
    expect(row).toMatchObject({ model: "flash", seeds: 3 });
    expect(row.speedUp).toBeCloseTo((ups[0] + ups[1] + ups[2]) / 3, 9);
    expect([row.lowest, row.highest]).toEqual([Math.min(...ups), Math.max(...ups)].map((up) => expect.closeTo(up, 9)));
  });

  it("count as not reached where one did not, and as failed where one failed", () => {
    const slow = trainResult({ model: "flash", context: 512, end: 4.2, stepMs: 1000, seed: 2 });
    const late = [...pair(0), slow, pair(1, 2)[1]];
    expect(summarise(manifestOf(late), late).speedUps[0]).toMatchObject({ seeds: 2, speedUp: null, lowest: null });
    const failed = [...pair(0), { ...slow, final: null, failure: "diverged" }];
    const [row] = summarise(manifestOf(failed), failed).quality;
    expect(row).toMatchObject({ perplexity: null, deviation: null, failure: "diverged" });
  });

  it("are told on the page", () => {
    const text = reportHtml(made);
    expect(text).toContain(`${average.toFixed(2)} ± ${(flash.deviation ?? 0).toFixed(2)}`);
    expect(text).toContain("mean, ± their standard deviation");
    expect(html).not.toContain("mean, ± their standard deviation");
  });
});
