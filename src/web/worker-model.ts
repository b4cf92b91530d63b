/** The model in a worker: loaded once, then used by calls. */
import { LonghandError, messageOf } from "../base/errors.ts";
import { parseSettings } from "../config/fields.ts";
import { scoreTextSettingsSchema } from "../config/use-settings.ts";
import { parameterCount } from "../models/language-model.ts";
import { CONFIG_FILE, type ExportSource, readExportConfig, readExportFrom } from "../use/export-files.ts";
import { type LoadedModel, loadedModel, requireMemory } from "../use/loaded-model.ts";
import type { ScoreRecord } from "../use/score/records.ts";
import { scorePieces, windowOf } from "../use/score/score-pieces.ts";
import { textPieces } from "../use/score/score-text.ts";
import { openWebEngine, type WebEngine } from "./engine.ts";
import { hasPrivateFiles } from "./private-files.ts";
import type { LoadProgress, LoadRequest, ModelFacts, ModelPlace, WebScoreSettings } from "./protocol.ts";
import { filesSource, type Reading, storedSource, urlSource } from "./source.ts";
import { keepModel, openStoredModel, removeStoredModel } from "./storage.ts";

/** WebAssembly addresses 4 GB, of which the parameters and what is computed take their part. */
const MOST_STATE_BYTES = 1e9;

export interface WorkerModel extends WebEngine {
  readonly model: LoadedModel;
  readonly facts: ModelFacts;
}

/** Throws as readExportFrom does, "io" for what network and storage refuse, "engine" for a device that does not work. */
export async function loadInWorker(
  { place, copiesLimit, ...options }: LoadRequest,
  tell: (progress: LoadProgress) => void,
): Promise<WorkerModel> {
  let progress: LoadProgress = { phase: "read", bytes: 0 };
  const told = (change: Partial<LoadProgress>) => {
    progress = { ...progress, ...change };
    tell(progress);
  };
  const found = await read(place, told, { onBytes: (bytes) => told({ bytes: progress.bytes + bytes }) });
  requireMemory(found.trained, MOST_STATE_BYTES);
  told({ phase: "start" });
  const engine = await openWebEngine(options);
  if (found.keep) told({ phase: "keep" });
  const notKept = found.keep && (await keep(found, { ...found.keep, limit: copiesLimit }));
  const { path, config, step } = found.trained;
  const facts: ModelFacts = {
    ...{ path, config, step, parameterCount: parameterCount(config.model) },
    ...{ engine: engine.choice, fromStore: found.fromStore, ...(notKept !== undefined && { notKept }) },
  };
  return { ...engine, model: loadedModel(found.trained, engine.engine), facts };
}

interface Found {
  readonly trained: Awaited<ReturnType<typeof readExportFrom>>;
  readonly files: Readonly<Record<string, Uint8Array>>;
  readonly fromStore: boolean;
  /** How it is to be kept, if it is. */
  readonly keep?: { readonly name: string; readonly copy: boolean } | undefined;
}

type Told = (change: Partial<LoadProgress>) => void;

async function read(place: ModelPlace, told: Told, reading: Reading): Promise<Found> {
  if ("url" in place) return readUrl(new URL(place.url, location.href).href, place.copy ?? true, told, reading);
  if ("files" in place) {
    const keep = place.keep === undefined ? undefined : { name: place.keep, copy: false };
    return { ...(await readWhole(filesSource(place.files, reading), told)), fromStore: false, keep };
  }
  const stored = await openStoredModel(place.stored);
  if (stored === undefined) throw new LonghandError("usage", `stored: there is no model of the name ${place.stored}`);
  return { ...(await readWhole(storedSource(place.stored, stored, reading), told)), fromStore: true };
}

/** The copy, if it is of what the URL has now, or if the URL cannot be reached; else from the URL. */
async function readUrl(url: string, copy: boolean, told: Told, reading: Reading): Promise<Found> {
  const network = urlSource(url, reading);
  // A browser may have a private file system and refuse it, as some do in private windows.
  const stored = copy && hasPrivateFiles() ? await openStoredModel(url).catch(() => undefined) : undefined;
  if (stored !== undefined) {
    const config = network.read(CONFIG_FILE).then((bytes) => new TextDecoder().decode(bytes));
    const [now, before] = [await config.catch(unreachable), await (await stored.file(CONFIG_FILE))?.text()];
    if (now === undefined || now === before) {
      const read = await readWhole(storedSource(url, stored, reading), told).catch(() => undefined);
      if (read !== undefined) return { ...read, fromStore: true };
    }
    await removeStoredModel(url); // of another version, or damaged
  }
  told({ bytes: 0 });
  const found = await readWhole(network, told);
  return { ...found, fromStore: false, keep: copy ? { name: url, copy: true } : undefined };
}

function unreachable(error: unknown): undefined {
  if (!(error instanceof LonghandError && error.code === "io")) throw error;
}

/** Reads a source, telling how much there is, and remembers the bytes. */
async function readWhole(source: ExportSource, told: Told): Promise<Pick<Found, "trained" | "files">> {
  const files: Record<string, Uint8Array> = {};
  const config = await source.read(CONFIG_FILE);
  const { files: listed } = await readExportConfig({ ...source, read: async () => config });
  const wanted = ["tokenizer.json", "model.safetensors"].map((name) => listed[name]?.bytes ?? 0);
  told({ totalBytes: config.length + wanted.reduce((sum, bytes) => sum + bytes, 0) });
  const trained = await readExportFrom({
    ...source,
    async read(name, length) {
      files[name] = name === CONFIG_FILE ? config : await source.read(name, length);
      return files[name];
    },
  });
  return { trained, files };
}

/** Why it is not kept, or undefined. A copy is a convenience; what was given a name must be kept. */
async function keep(
  { files }: Found,
  options: { readonly name: string; readonly copy: boolean; readonly limit: number },
): Promise<string | undefined> {
  try {
    await keepModel(files, options);
    return undefined;
  } catch (error) {
    if (!options.copy) throw error;
    return messageOf(error);
  }
}

/** Records of a text in memory, as longhand score has them. Throws "usage" for a wrong setting and for a masked model. */
export function scoreText(
  model: LoadedModel,
  { text, ...given }: WebScoreSettings,
  signal: AbortSignal,
): AsyncGenerator<ScoreRecord, void, undefined> {
  const { context, tokens } = parseSettings(scoreTextSettingsSchema, given);
  const windows = [windowOf(model, context)];
  return scorePieces(textPieces(text), { models: [model], windows, tokens, signal });
}
