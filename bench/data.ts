/**
 * Preparing a corpus: the rate of the `tokenizers` package alone, the rate from each format to shards beside it, in
 * turn; the peak memory of `longhand prepare` with every process it starts; and what making a batch takes of a training
 * step.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withProcesses } from "../reproduce/process.ts";
import { ratios, type Spread, spread } from "../reproduce/statistics.ts";
import { textInMemory } from "../src/data/text-source.ts";
import { trainTokenizer } from "../src/data/tokenizer.node.ts";
import { type BatchMeasurement, measureBatches } from "./data-batches.ts";
import { type CorpusFile, corpusDocuments, writeCorpora } from "./data-corpus.ts";
import { preparationPeak } from "./data-memory.ts";
import { nodeWorker, threads } from "./longhand.ts";

export interface FormatResult {
  readonly format: CorpusFile["format"];
  /** Of text. */
  readonly megabytesPerSecond: Spread;
  /** Rate over that of the package alone in the same round, and over that of Longhand's worker threads in memory. */
  readonly share: Spread;
  readonly shareOfWorkers: Spread;
  /** Largest resident size of the command and its processes together, with training the tokenizer. */
  readonly peakBytes: number | null;
}

export interface DataReport {
  readonly threads: number;
  readonly bytes: number;
  readonly documents: number;
  readonly vocabSize: number;
  /**
   * Encoding of pieces in memory: the package with its threads, Longhand's encoder on one thread, and its worker
   * threads.
   */
  readonly tokenizer: Readonly<Record<(typeof WAYS)[number], Spread>>;
  readonly formats: readonly FormatResult[];
  readonly batches: readonly BatchMeasurement[];
}

interface DataOptions {
  readonly rounds: number;
  readonly data: string | undefined;
  readonly note: (text: string) => void;
}

const VOCABULARY = 8192;
const WAYS = ["native", "one", "workers"] as const;

export async function benchData({ rounds, data, note }: DataOptions): Promise<DataReport> {
  const folder = mkdtempSync(join(tmpdir(), "longhand-bench-data-"));
  try {
    note("data: writing the corpus in every format");
    const documents = await corpusDocuments(data);
    const corpora = writeCorpora(folder, documents);
    const source = textInMemory("corpus", documents);
    const tokenizer = await trainTokenizer({ source, vocabSize: VOCABULARY, seed: 1 });
    const file = join(folder, "tokenizer.json");
    writeFileSync(file, tokenizer.json);
    const worker = (name: string, text: string) =>
      nodeWorker(name, "data-worker.ts", [file, String(threads()), folder, text]);
    const workers = [worker("tokenizer", data ?? "-"), worker("preparation", "none")];
    const rates = await withProcesses(workers, async ([encoder, preparer]) => {
      const hello = await encoder.ready<{ bytes: number; documents: number }>();
      await preparer.ready();
      const rate = async (command: "tokenizer" | "prepare", fields: object) => {
        const asked = command === "tokenizer" ? encoder : preparer;
        return hello.bytes / 1e6 / (await asked.ask<{ seconds: number }>(command, { ...fields })).seconds;
      };
      const alone = { native: [] as number[], one: [] as number[], workers: [] as number[] };
      const whole = corpora.map(() => [] as number[]);
      for (let round = -1; round < rounds; round++) {
        note(`data: ${round < 0 ? "warm-up" : `round ${round + 1} of ${rounds}`}`);
        for (const by of WAYS) alone[by].push(await rate("tokenizer", { by }));
        for (const [i, { path }] of corpora.entries()) whole[i].push(await rate("prepare", { path }));
      }
      for (const list of [...WAYS.map((by) => alone[by]), ...whole]) list.shift();
      return { ...hello, alone, whole };
    });
    const { alone, whole } = rates;
    const formats: FormatResult[] = [];
    for (const [i, { format, path }] of corpora.entries()) {
      note(`data: peak memory from ${format}`);
      const peakBytes = await preparationPeak(path, join(folder, `peak-${format}`));
      const share = spread(ratios(whole[i], alone.native));
      const shareOfWorkers = spread(ratios(whole[i], alone.workers));
      formats.push({ format, megabytesPerSecond: spread(whole[i]), share, shareOfWorkers, peakBytes });
    }
    note("data: batches");
    const batches = await measureBatches(join(folder, "peak-text"));
    return {
      threads: threads(),
      ...{ bytes: rates.bytes, documents: rates.documents, vocabSize: tokenizer.vocabSize },
      tokenizer: { native: spread(alone.native), one: spread(alone.one), workers: spread(alone.workers) },
      formats,
      batches,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
