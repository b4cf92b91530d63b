/**
 * Learns the merges of byte-level BPE with the `tokenizers` package. Its trainer always goes to 30,000 tokens, blocks,
 * and prints to standard output; so it runs in a child process, and smaller vocabularies take its first merges, which
 * is what a smaller training would have learnt.
 */
import { spawn } from "node:child_process";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LonghandError, messageOf } from "../base/errors.ts";
import { type Merge, untrainedTokenizerJson } from "./tokenizer-file.ts";
import { requireTrainable, sampledLines, type TrainingRequest, trainedJson } from "./tokenizer-request.ts";

const TRAIN_SCRIPT = `
const [, module, untrained, sample, result] = process.argv;
const { Tokenizer } = require(module);
const tokenizer = Tokenizer.fromString(untrained);
tokenizer.train([sample]);
tokenizer.save(result, false);
`;

/**
 * The tokenizer.json learnt from a seeded sample of the source; the same source and seed give the same text. Text too
 * small for the vocabulary asked gives a smaller one. Throws "usage" for numbers out of range.
 */
export async function trainTokenizerJson(request: TrainingRequest): Promise<string> {
  requireTrainable(request);
  const folder = await mkdtemp(join(tmpdir(), "longhand-tokenizer-")).catch(refused);
  try {
    const sample = join(folder, "sample.txt");
    await writeSample(request, sample);
    const result = join(folder, "trained.json");
    await runTrainer(sample, result);
    const { model } = JSON.parse(await readFile(result, "utf8")) as { model: { merges: Merge[] } };
    return trainedJson(model.merges, request);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeSample(request: TrainingRequest, path: string): Promise<void> {
  const file = await open(path, "w").catch(refused);
  try {
    for await (const lines of sampledLines(request)) await file.writeFile(lines).catch(refused);
  } finally {
    await file.close();
  }
}

function refused(error: unknown): never {
  throw new LonghandError("io", `tokenizer: cannot write to the temporary folder ${tmpdir()}: ${messageOf(error)}`, {
    cause: error,
  });
}

function runTrainer(sample: string, result: string): Promise<void> {
  const module = createRequire(import.meta.url).resolve("tokenizers");
  const child = spawn(process.execPath, ["-e", TRAIN_SCRIPT, module, untrainedTokenizerJson(), sample, result], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  let complaint = "";
  child.stderr.on("data", (chunk) => {
    complaint = (complaint + chunk).slice(-2000);
  });
  return new Promise((resolve, reject) => {
    const fail = (reason: string, cause?: unknown) =>
      reject(new LonghandError("data", `tokenizer: training failed: ${reason}`, { cause }));
    child.on("error", (error) => fail(messageOf(error), error));
    child.on("close", (code, signal) => {
      if (code === 0) resolve();
      else if (signal) fail(`its process was ended by ${signal}`);
      else fail(/^\w*Error: .*$/m.exec(complaint)?.[0] ?? `its process exited with status ${code}`);
    });
  });
}
