/** What each format of weights costs: its size on disk, its loss on a text, and the speed of its graph for one token. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type WeightFormat, weightFormats } from "../../config/export-settings.ts";
import { runsPerSecond } from "../../runtime/ort-file-speed.node.ts";
import type { TrainedModel } from "../../use/trained-model.ts";
import { settingsOf } from "../use/evaluate.ts";
import { byDocument, inWindows, withShards } from "../use/measure.ts";
import { openModel } from "../use/open.ts";
import { readExport } from "./read.ts";

/** The graph that reads one token, where an export has it. */
const DECODE_FILE = "decode.onnx";
const ROUNDS = 3;

export interface FormatMeasure {
  readonly weights: WeightFormat;
  /** Of all files of the export together. */
  readonly bytes: number;
  /** Mean nats a token, of a masked model a selected token. */
  readonly loss: number;
  /** exp(loss) */
  readonly perplexity: number;
  /** Of the graph in ONNX Runtime; null where there is none, as for a masked model. */
  readonly tokensPerSecond: number | null;
}

export interface CompareOptions {
  /** What eval takes. */
  readonly data: string;
  /** Writes an export into an empty folder and says the sizes of its files. */
  readonly write: (folder: string, format: WeightFormat) => Promise<Readonly<Record<string, number>>>;
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Gets the share done, 0 … 1. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** Measures every format, as it is read back from an export in a temporary folder. Throws as evaluate does. */
export async function compareFormats(
  { config, tokenizer, engine }: TrainedModel,
  { data, write, onWarning, onProgress }: CompareOptions,
): Promise<FormatMeasure[]> {
  const { reading } = settingsOf({ data, onWarning });
  const { context, carry } = config.training;
  const folder = await mkdtemp(join(tmpdir(), "longhand-export-"));
  try {
    return await withShards(data, reading, tokenizer, async (text) => {
      const measures: Omit<FormatMeasure, "tokensPerSecond">[] = [];
      for (const [i, weights] of weightFormats.entries()) {
        const own = join(folder, weights);
        await mkdir(own);
        const files = await write(own, weights);
        const bytes = Object.values(files).reduce((sum, size) => sum + size, 0);
        const model = await openModel({ ...(await readExport(own)), engine });
        const measure = carry ? byDocument(model) : inWindows(model, context);
        const onPart = (done: number) => onProgress?.((i + done) / weightFormats.length);
        const { loss } = await measure(text, onPart).finally(() => model.close());
        measures.push({ weights, bytes, loss, perplexity: Math.exp(loss) });
      }
      const speeds = await decodingSpeeds(folder, engine);
      return measures.map((own) => ({ ...own, tokensPerSecond: speeds[own.weights] ?? null }));
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The highest of a few rounds, in which the formats take turns: what else the machine does slows some of them down. */
async function decodingSpeeds(
  folder: string,
  { threads }: TrainedModel["engine"],
): Promise<Partial<Record<WeightFormat, number>>> {
  const speeds: Partial<Record<WeightFormat, number>> = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const weights of weightFormats) {
      const graph = join(folder, weights, DECODE_FILE);
      if (existsSync(graph)) speeds[weights] = Math.max(speeds[weights] ?? 0, await runsPerSecond(graph, { threads }));
    }
  }
  return speeds;
}
