/**
 * The script of the worker that trains: it owns runs and engine, so that the page never waits, and answers the calls of
 * train-protocol.ts. One thing that needs the engine is done at a time.
 */
import { LonghandError } from "../base/errors.ts";
import { CONFIG_FILE } from "../checkpoint/config-file.ts";
import { generate } from "../use/generate.ts";
import { loadedModel } from "../use/loaded-model.ts";
import { answerCalls, type WorkerScope } from "./calls.ts";
import { type EngineOptions, openWebEngine, type WebEngine } from "./engine.ts";
import { archiveOf, type UnpackedRun, unpackRun } from "./run-archive.ts";
import type { RunFiles } from "./run-files.ts";
import { holdingRun, openStoredRuns } from "./stored-runs.ts";
import { beginRun, trainRun } from "./train.ts";
import type { TrainProtocol } from "./train-protocol.ts";
import { readNewestCheckpoint, readRecords, readRunConfig, readRunTokenizer, readTrainedRun } from "./web-run.ts";

const runs = openStoredRuns();
/** Of what is under way. */
let under: AbortController | undefined;

/** Does one thing with an engine of its own, which is given up when the GPU device is lost. */
async function withEngine<T>(
  options: EngineOptions | undefined,
  work: (engine: WebEngine, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (under !== undefined) throw new LonghandError("usage", "training: this page is at work already; stop that first");
  const stop = new AbortController();
  under = stop;
  try {
    const opened = await openWebEngine(options);
    try {
      return await Promise.race([work(opened, stop.signal), opened.lost]);
    } finally {
      await opened.engine.close();
    }
  } finally {
    under = undefined;
  }
}

const onWarning = () => {};

/** Writes what was unpacked, `config.json` last, and sees whether there is a model in it. */
async function takeIn({ name, files: unpacked }: UnpackedRun, files: RunFiles): Promise<void> {
  const { [CONFIG_FILE]: config, ...rest } = Object.fromEntries(unpacked);
  for (const [path, bytes] of Object.entries(rest)) await files.write(path, [bytes]);
  await files.write(CONFIG_FILE, [config]);
  await readRunTokenizer(files, await readRunConfig(files));
  if ((await readNewestCheckpoint(files, onWarning)) === undefined)
    throw new LonghandError("checkpoint", `${name}: it holds no checkpoint, so there is no model in it`);
}

answerCalls<TrainProtocol>(self as unknown as WorkerScope, {
  async list() {
    const { lasting } = await runs;
    return { lasting, runs: await (await runs).list() };
  },
  begin: ({ name: like, text, settings, from, engine: options }, tell) =>
    withEngine(options, async ({ engine }, signal) => {
      const stored = await runs;
      const source = from === undefined ? undefined : await readTrainedRun(await stored.open(from), from, onWarning);
      const name = await stored.freeName(like);
      return holdingRun(name, async () => {
        try {
          const files = await stored.open(name);
          await beginRun({ name, files, text, settings, from: source, engine, onEvent: tell, signal });
          return name;
        } catch (error) {
          await stored.remove(name);
          throw error;
        }
      });
    }),
  train: ({ name, steps, engine: options }, tell) =>
    withEngine(options, async ({ engine, choice }, signal) => {
      tell({ type: "engine", choice });
      const files = await (await runs).open(name);
      return holdingRun(name, () => trainRun({ name, files, engine, steps, onEvent: tell, signal }));
    }),
  async stop() {
    under?.abort(new LonghandError("usage", "stopped"));
    return undefined;
  },
  write: ({ name, engine: options, ...settings }, tell) =>
    withEngine(options, async ({ engine }, signal) => {
      const trained = await readTrainedRun(await (await runs).open(name), name, onWarning);
      let text = "";
      for await (const piece of generate(loadedModel(trained, engine), { ...settings, signal })) {
        if (piece.type === "text") tell(piece.text);
        else if (piece.type === "end") text = piece.text;
      }
      return text;
    }),
  records: async (name) => readRecords(await (await runs).open(name)),
  download: async (name) => archiveOf(await (await runs).open(name), name),
  async upload(picked) {
    const unpacked = await unpackRun(picked);
    const stored = await runs;
    const name = await stored.freeName(unpacked.name);
    return holdingRun(name, async () => {
      try {
        await takeIn(unpacked, await stored.open(name));
        return name;
      } catch (error) {
        await stored.remove(name);
        throw error;
      }
    });
  },
  async remove(name) {
    await holdingRun(name, async () => (await runs).remove(name));
    return undefined;
  },
});
