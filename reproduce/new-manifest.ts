/** The beginning of a comparison: calibration, then a plan within the budget. */
import { availableMemory } from "longhand/tools";
import { calibrate } from "./calibrate.ts";
import { costsFrom } from "./costs.ts";
import { textBytes } from "./data.ts";
import { identify } from "./machine.ts";
import { type Manifest, manifestMark, planSchema } from "./manifest.ts";
import { memoryEstimate } from "./models.ts";
import { makePlan } from "./plan.ts";
import type { ReproduceSettings } from "./settings.ts";

/** Share of the free memory that measured processes may use. */
const MEMORY_SHARE = 0.88;

interface Doing {
  readonly note: (message: string) => void;
  readonly stopRequested: () => boolean;
}

/** Undefined when a stop was requested. Throws "usage" for a budget too small, "data" and "io" for texts. */
export async function newManifest(settings: ReproduceSettings, doing: Doing): Promise<Manifest | undefined> {
  const needsText = settings.only.some((name) => name !== "speed" && name !== "recall");
  const bytes = needsText && settings.data !== undefined ? await textBytes(settings.data) : DEFAULT_TEXT_BYTES;
  const started = performance.now();
  const calibration = await calibrate(settings, doing);
  if (calibration === undefined) return undefined;
  const spent = (performance.now() - started) / 1000;
  const plan = planSchema.parse(
    makePlan({
      settings,
      costs: costsFrom(calibration, memoryEstimate(settings.preset, settings.vocab)),
      memory: MEMORY_SHARE * availableMemory(),
      textTokens: bytes / BYTES_PER_TOKEN,
      prepareSeconds: spent + (needsText ? TOKENIZER_SECONDS + bytes / TEXT_BYTES_PER_SECOND : 0),
    }),
  );
  const identity = identify(settings);
  return { ...manifestMark, created: new Date().toISOString(), settings, identity, calibration, plan };
}

const DEFAULT_TEXT_BYTES = 1.2e6;
/** A lower bound for vocabularies of some thousand tokens. */
const BYTES_PER_TOKEN = 4;
const TOKENIZER_SECONDS = 5;
const TEXT_BYTES_PER_SECOND = 1e6;
