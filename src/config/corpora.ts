/** The corpora of a training: what its settings say of them, and what a configuration keeps. */
import { LonghandError, quoted } from "../base/errors.ts";
import { type DataSpec, nameOf } from "../data/data-spec.ts";
import type { RunConfig } from "./run-config.ts";
import type { TrainSettings } from "./train-settings.ts";

/** One corpus as a configuration keeps it. */
export interface CorpusConfig {
  /** An absolute path, or an address on the hub. */
  readonly path: DataSpec;
  /** Above 0. */
  readonly weight: number;
  /** How a text is read. */
  readonly field?: string | undefined;
  readonly split?: string | undefined;
  readonly limit?: string | undefined;
}

/** What only the disk knows of data. */
export interface DataFacts {
  /** Absolute, where it is a path. */
  readonly absolute: (data: DataSpec) => DataSpec;
  /** Whether it is token shards already, of which nothing can be chosen. */
  readonly prepared: (data: DataSpec) => boolean;
}

/** Keeps the sum of the weights finite. */
const LARGEST_WEIGHT = 1e9;

/** Share of the examples that come from a text beside `data`, where none is given. */
const BESIDE = 0.2;

type DataSettings = Pick<TrainSettings, "data" | "mix" | "field" | "split" | "limit" | "evalData"> &
  Partial<Pick<TrainSettings, "from">>;

/**
 * The corpora of `data` or `mix`. With `from` also of both: the weights of `mix` are then shares of the examples, and `data`
 * has the rest. `field`, `split` and `limit` hold for each part of a mixture that is text and does not say them itself. Throws
 * "usage" when neither or, without `from`, both are given, for a part without a weight above 0, for the same part twice, and
 * when no part is text that could be read so.
 */
export function corporaFrom(settings: DataSettings, { absolute, prepared }: DataFacts): CorpusConfig[] {
  const { data, mix, field, split, limit, evalData } = settings;
  if (mix === undefined) {
    if (data === undefined)
      throw new LonghandError("usage", "`data` is missing: give a text to learn, or `resume` a run");
    return [{ path: absolute(data), weight: 1, ...given({ field, split, limit }) }];
  }
  if (data !== undefined && settings.from === undefined) {
    throw new LonghandError(
      "usage",
      `\`data\` ${nameOf(data)} cannot be combined with \`mix\`: make it one of its parts`,
    );
  }
  const asked = typeof mix === "string" ? [mix] : mix;
  const all = data === undefined ? asked.map((part) => partOf(part)) : withRest(data, asked);
  const parts = all.map((own) => (prepared(own.data) ? { ...own } : { field, split, limit, ...own }));
  if (parts.every((part) => prepared(part.data))) {
    refuseTextOptions(parts[0].data, { field: evalData === undefined ? field : undefined, split, limit });
  }
  const seen = new Set<string>();
  return parts.map(({ data, weight, ...reading }) => {
    if (!isWeight(weight)) throw wrongWeight(`${nameOf(data)}=${weight}`);
    const path = absolute(data);
    // Standard input can be read once, whatever is chosen of it.
    const { field = "", split = "", limit = "" } = data === "-" ? {} : reading;
    const same = JSON.stringify([[path].flat(), field, split, limit]);
    if (seen.has(same)) {
      throw new LonghandError(
        "usage",
        `\`mix\` ${nameOf(data)}: it is given twice; give it once, with its whole weight`,
      );
    }
    seen.add(same);
    return { path, weight, ...given(reading) };
  });
}

type MixPart = Exclude<NonNullable<TrainSettings["mix"]>, string>[number];
type Part = Omit<Exclude<MixPart, string>, "data"> & { readonly data: DataSpec };

/** data=weight; the data may hold a = too. Without a weight `otherwise`, if that is given. */
function partOf(part: MixPart, otherwise?: number): Part {
  if (typeof part !== "string") return part;
  const at = part.lastIndexOf("=");
  const [data, weight] = [part.slice(0, at), part.slice(at + 1)];
  const isGiven = at > 0 && weight.trim() !== "" && !Number.isNaN(Number(weight));
  if (!isGiven && otherwise !== undefined) return { data: part, weight: otherwise };
  if (!isGiven || !isWeight(Number(weight))) throw wrongWeight(part);
  return { data, weight: Number(weight) };
}

/** `data`, and beside it texts with shares of the examples. */
function withRest(data: DataSpec, beside: readonly MixPart[]): Part[] {
  const parts = beside.map((part) => partOf(part, BESIDE));
  const rest = 1 - parts.reduce((sum, { weight }) => sum + weight, 0);
  if (rest > 0) return [{ data, weight: rest }, ...parts];
  const example = `${nameOf(parts[0].data)}=${BESIDE}`;
  throw new LonghandError(
    "usage",
    `\`mix\`: beside \`data\`, expected shares of the examples that are less than 1 together, for example ${example}`,
  );
}

function isWeight(weight: number): boolean {
  return weight > 0 && weight <= LARGEST_WEIGHT;
}

function wrongWeight(part: string): LonghandError {
  return new LonghandError(
    "usage",
    `\`mix\` ${part}: expected data=weight with a weight above 0 and at most 1e9, for example data/wiki=3`,
  );
}

/** Without the fields that are undefined. */
export function given<Value>(fields: Readonly<Record<string, Value | undefined>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, Value] => entry[1] !== undefined));
}

/** Of token shards no field, split or limit can be chosen. Throws "usage". */
export function refuseTextOptions(data: DataSpec, options: Readonly<Record<string, string | undefined>>): void {
  for (const [field, value] of Object.entries(given(options))) {
    const problem = `${nameOf(data)} holds token shards, of which nothing can be chosen`;
    throw new LonghandError("usage", `${quoted(field)} ${value}: ${problem}`);
  }
}

/** The corpora of a configuration, each with its share of the examples (0 … 1): its mixture, or its one text. */
export function corporaIn({ data }: Pick<RunConfig, "data">): (CorpusConfig & { readonly share: number })[] {
  const { path, field, split, limit, mix = [{ path: path as DataSpec, weight: 1, field, split, limit }] } = data;
  const total = mix.reduce((sum, { weight }) => sum + weight, 0);
  return mix.map((corpus) => ({ ...corpus, share: corpus.weight / total }));
}
