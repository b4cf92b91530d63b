/**
 * `score` beside `eval` of the same text, in windows and read whole: tokens a second, all with reading and encoding the text. The
 * models are trained for one step: speed does not depend on what they have learnt.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { settle, turns } from "../reproduce/process.ts";
import { ratios, type Spread, spread } from "../reproduce/statistics.ts";
import type { PresetName } from "../src/models/presets.ts";
import { score } from "../src/run/score/score.ts";
import { train } from "../src/run/train/train.ts";
import { evaluate } from "../src/run/use/evaluate.ts";
import { byDocument, withShards } from "../src/run/use/measure.ts";
import { type LoadedModel, loadModel } from "../src/run/use/model.ts";
import { corpusDocuments } from "./data-corpus.ts";
import { threads } from "./longhand.ts";

export interface ScoreReport {
  readonly threads: number;
  readonly results: readonly ScoreRates[];
}

/** Tokens a second, and quotients round by round. */
export interface ScoreRates {
  readonly preset: PresetName;
  readonly tokens: number;
  readonly score: Spread;
  readonly windows: Spread;
  readonly whole: Spread;
  readonly againstWindows: Spread;
  readonly againstWhole: Spread;
}

interface ScoreBenchOptions {
  readonly rounds: number;
  readonly note: (text: string) => void;
}

const PRESETS = ["nano", "tiny"] as const;
const CHARACTERS = 250_000;

export async function benchScore({ rounds, note }: ScoreBenchOptions): Promise<ScoreReport> {
  const folder = mkdtempSync(join(tmpdir(), "longhand-bench-"));
  try {
    const [data, part] = ["text.txt", "part.txt"].map((name) => join(folder, name));
    const text = (await corpusDocuments(undefined)).join("\n").slice(0, 2_000_000);
    writeFileSync(data, text);
    writeFileSync(part, text.slice(0, CHARACTERS));
    const common = {
      data,
      model: "flash",
      vocab: 8192,
      steps: 1,
      batch: 1,
      threads: threads(),
      evalTokens: 1000,
    } as const;
    const results: ScoreRates[] = [];
    for (const preset of PRESETS) {
      note(`score: preparing ${preset}`);
      const out = join(folder, preset);
      await train({ ...common, preset, out });
      const model = await loadModel(out);
      results.push({ preset, ...(await measure(model, part, { rounds, note })) });
      await model.close();
    }
    return { threads: threads(), results };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(
  model: LoadedModel,
  data: string,
  { rounds, note }: ScoreBenchOptions,
): Promise<Omit<ScoreRates, "preset">> {
  const ways = [
    async () => {
      let tokens = 0;
      for await (const record of score(model, { data })) if (record.type === "document") tokens += record.tokens;
      return tokens;
    },
    async () => (await evaluate(model, { data })).tokens,
    () => withShards(data, {}, model.tokenizer, async (shards) => (await byDocument(model)(shards)).tokens),
  ];
  const rates = ways.map(() => [] as number[]);
  const tokens = await ways[0](); // compiles; the others do at every run
  for (let round = 0; round < rounds; round++) {
    for (const turn of turns(ways.length, round)) {
      await settle();
      const begun = performance.now();
      const read = await ways[turn]();
      rates[turn].push((1000 * read) / (performance.now() - begun));
    }
    note(`score: round ${round + 1} of ${rounds}`);
  }
  const [own, windows, whole] = rates;
  return {
    ...{ tokens, score: spread(own), windows: spread(windows), whole: spread(whole) },
    ...{ againstWindows: spread(ratios(own, windows)), againstWhole: spread(ratios(own, whole)) },
  };
}
