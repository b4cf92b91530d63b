/**
 * What this machine is good for: the rate of plain matrix products, and for every size of a model its speed in training
 * and writing, the memory it needs, and how long it would take to train it well. A fixed time is shared: sizes whose
 * steps do not fit into it, or not into memory, are estimated from their arithmetic.
 */
import { setImmediate as pause } from "node:timers/promises";
import { type Processors, processors } from "../../base/processors.node.ts";
import { type BenchSettings, type BenchSettingsInput, benchSettingsSchema } from "../../config/bench-settings.ts";
import { parseSettings } from "../../config/fields.ts";
import { resolveConfig } from "../../config/resolve.ts";
import type { RunConfig } from "../../config/run-config.ts";
import { parseTrainSettings } from "../../config/train-settings.ts";
import { forwardFlops, matmulFlops } from "../../models/catalogue.ts";
import { parameterCount, parametersOf } from "../../models/language-model.ts";
import { presetNames } from "../../models/presets.ts";
import type { Device } from "../../runtime/engine.ts";
import { ortVersion } from "../../runtime/ort-node.ts";
import { mapsOf, muonProgram } from "../../train/muon.ts";
import { rulesOf } from "../../train/optimizer-config.ts";
import { availableMemory } from "../machine/available-memory.ts";
import { chooseDevice } from "../machine/choose-device.ts";
import { requireDevice } from "../machine/device.ts";
import { memoryNeeded } from "../machine/memory.ts";
import { type EnergyMeter, energyMeter } from "../machine/power.ts";
import { productFlops, productRate } from "../machine/products.ts";
import { thisMachine } from "../machine/this-machine.ts";
import { version } from "../machine/version.ts";
import { type BenchPreset, efficiencyOf, estimated, type Measured, wattsOf } from "./estimate.ts";
import { measureSpeed } from "./speed.ts";

/** Of the matrices whose product is the measure of the machine: large ones where their run takes no longer than this. */
const PRODUCT_SIZES = { small: 256, large: 1024 };
const PRODUCT_RUN_SECONDS = 3;
/** Seconds for each rate of products, at most; less where all seconds are few. */
const PRODUCT_SECONDS = 1;
/** Shares of all seconds: of each rate of products, of the timed steps of one size, of its decoding. */
const SHARES = { products: 0.02, training: 0.1, decoding: 0.03 };
/** Seconds to prepare a model: to build and compile it, and to draw each of its parameters. */
const PREPARATION = { model: 0.5, parameter: 1e-7 };

export interface BenchProducts {
  readonly device: Device;
  readonly threads: number;
  /** Floating-point operations a second. */
  readonly flops: number;
}

export interface BenchResult {
  readonly longhand: string;
  readonly node: string;
  readonly onnxruntime: string;
  readonly platform: string;
  readonly processors: Processors;
  readonly device: Device;
  readonly threads: number;
  /** Of the CPU with one thread and with all, then of the device, if it is another. */
  readonly products: readonly BenchProducts[];
  /** Of the processor while it trained; null where the machine does not tell. */
  readonly watts: number | null;
  /** Why the machine does not tell; null where it does. */
  readonly wattsMissing: string | null;
  readonly availableBytes: number;
  readonly model: string;
  readonly context: number;
  readonly batch: number;
  readonly vocabSize: number;
  /** False when a stop was requested before the end. */
  readonly finished: boolean;
  /** By size. */
  readonly presets: readonly BenchPreset[];
}

export interface BenchOptions {
  /** What is measured next, and the share of all work that is done. */
  readonly onProgress?: (what: string, done: number) => void;
  /** Ends the measurement after the current step; what is not measured by then is estimated. */
  readonly signal?: AbortSignal;
}

/** A size with the training that is measured of it. */
interface Candidate extends Pick<Measured, "preset" | "parameters" | "flopsPerToken"> {
  readonly config: RunConfig;
}

/** Measures the machine. Throws "usage" for wrong settings, "engine" for a device that does not work. */
export async function bench(input: BenchSettingsInput = {}, options: BenchOptions = {}): Promise<BenchResult> {
  const started = performance.now();
  const settings = parseSettings(benchSettingsSchema, input);
  const { onProgress = () => {}, signal } = options;
  const stopRequested = () => signal?.aborted === true;
  const secondsLeft = () => settings.seconds - (performance.now() - started) / 1000;
  const candidates = candidatesOf(settings);
  const [{ config }] = candidates;
  const { threads } = config.engine;
  const device = settings.device === "auto" ? (await chooseDevice(threads)).device : settings.device;
  await requireDevice(device);
  onProgress("matrix products", 0);
  const products = await measureProducts(
    device,
    threads,
    Math.min(PRODUCT_SECONDS, SHARES.products * settings.seconds),
  );
  const { flops } = products[products.length - 1];
  const meter: EnergyMeter =
    device === "cpu" ? energyMeter() : { missing: `that of the processor says nothing about ${device}` };
  const availableBytes = availableMemory();

  const measured: Measured[] = [];
  for (const [i, candidate] of candidates.entries()) {
    await pause(); // so that a signal is heard: with onnxruntime-node a run blocks the event loop
    onProgress(candidate.preset, (i + 1) / (candidates.length + 1));
    const config = { ...candidate.config, engine: { device, threads } };
    const { needed, built } = memoryNeeded(config);
    const fits = device !== "cpu" || needed <= availableBytes;
    const expected = expectedSeconds(candidate, efficiencyOf(measured, flops) * flops);
    const worth = fits && !stopRequested() && expected <= secondsLeft();
    const seconds = {
      trainSeconds: SHARES.training * settings.seconds,
      decodeSeconds: SHARES.decoding * settings.seconds,
    };
    const speed = worth ? await measureSpeed({ config, built, ...seconds, meter, stopRequested }) : {};
    measured.push({ ...candidate, memoryBytes: needed, fits, speed });
  }
  const { model, training } = config;
  return {
    ...{ longhand: version, node: process.version, onnxruntime: ortVersion },
    platform: `${process.platform} ${process.arch}`,
    ...{ processors: processors(), device, threads, products, availableBytes },
    watts: wattsOf(measured),
    wattsMissing: "missing" in meter ? meter.missing : null,
    ...{ model: model.architecture, context: training.context, batch: training.batch, vocabSize: model.vocabSize },
    finished: !stopRequested(),
    presets: estimated(measured, flops),
  };
}

/** The trainings to measure, as `longhand train` would have them with these settings, by size. */
function candidatesOf({ preset: asked, seconds: _, ...settings }: BenchSettings): Candidate[] {
  return presetNames
    .filter((preset) => asked.includes(preset))
    .map((preset) => {
      const config = resolveConfig(parseTrainSettings({ ...settings, preset, data: "-" }), thisMachine());
      const { context } = config.training;
      const passes = (3 * forwardFlops(config.model, context)) / context;
      const flopsPerToken = passes + optimizerFlops(config) / tokensOfStep(config);
      return { preset, config, parameters: parameterCount(config.model), flopsPerToken };
    });
}

const tokensOfStep = ({ training: { accumulate, batch, context } }: RunConfig) => accumulate * batch * context;

/** Of the products of one update. */
function optimizerFlops({ model, training }: RunConfig): number {
  const parameters = parametersOf(model);
  const rules = rulesOf(parameters, training.optimizer);
  const maps = mapsOf(parameters.filter(({ path }) => rules.get(path)?.by === "muon"));
  return maps.length === 0 ? 0 : matmulFlops(muonProgram(maps));
}

async function measureProducts(device: Device, threads: number, seconds: number): Promise<BenchProducts[]> {
  const cases = [...new Set([1, threads])].map((threads): Omit<BenchProducts, "flops"> => ({ device: "cpu", threads }));
  if (device !== "cpu") cases.push({ device, threads });
  const rates: BenchProducts[] = [];
  for (const one of cases) {
    const { small, large } = PRODUCT_SIZES;
    const first = await productRate({ ...one, size: small });
    const slow = productFlops(large) / first > PRODUCT_RUN_SECONDS;
    rates.push({ ...one, flops: slow ? first : await productRate({ ...one, size: large, seconds }) });
  }
  return rates;
}

/** Seconds of preparing a model and of two steps, at a rate. */
function expectedSeconds({ config, parameters, flopsPerToken }: Candidate, rate: number): number {
  const preparation = PREPARATION.model + PREPARATION.parameter * parameters;
  return preparation + (2 * tokensOfStep(config) * flopsPerToken) / rate;
}
