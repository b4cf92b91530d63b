/** The numbers of one run as growing columns: read whole once, then gone on with, record by record. */
import type { MetricsRecord, RunColumns } from "../../src/studio/api.ts";
import type { Points } from "../plot/points.ts";

export type Axis = "step" | "tokens" | "seconds";
export const METRICS = ["loss", "perplexity", "learningRate", "gradientNorm", "tokensPerSecond", "memory"] as const;
export type Metric = (typeof METRICS)[number];

type Sample = Extract<MetricsRecord, { type: "sample" }>;
type Skip = Extract<MetricsRecord, { type: "skip" }>;
type Numbers = Float64Array | Float32Array;

/** Numbers that grow at the end; `view` is all of them, without a copy. */
class Column {
  #data: Float64Array;
  #length: number;

  constructor(first: Numbers) {
    this.#data = Float64Array.from(first);
    this.#length = first.length;
  }

  push(value: number | null | undefined): void {
    if (this.#length === this.#data.length) {
      const larger = new Float64Array(Math.max(64, 2 * this.#length));
      larger.set(this.#data);
      this.#data = larger;
    }
    this.#data[this.#length++] = value ?? Number.NaN;
  }

  get view(): Float64Array {
    return this.#data.subarray(0, this.#length);
  }
}

const TRAIN = [
  "step",
  "tokens",
  "seconds",
  "loss",
  "gradientNorm",
  "learningRate",
  "tokensPerSecond",
  "memory",
] as const;
const EVALUATION = ["step", "tokens", "seconds", "loss"] as const;

function columnsOf<Name extends string>(names: readonly Name[], values: Readonly<Record<Name, Numbers>>) {
  return Object.fromEntries(names.map((name) => [name, new Column(values[name])])) as Record<Name, Column>;
}

export class History {
  readonly samples: Sample[] = [];
  readonly skips: Skip[] = [];
  readonly generation: string;
  next: number;
  readonly #train: Record<(typeof TRAIN)[number], Column>;
  readonly #evaluation: Record<(typeof EVALUATION)[number] | "perplexity", Column>;

  constructor(columns: RunColumns) {
    this.generation = columns.generation;
    this.next = columns.next;
    this.#train = columnsOf(TRAIN, columns.train);
    const perplexity = Float64Array.from(columns.eval.loss, Math.exp);
    this.#evaluation = { ...columnsOf(EVALUATION, columns.eval), perplexity: new Column(perplexity) };
    for (const record of columns.others) this.append(record);
  }

  append(record: MetricsRecord): void {
    if (record.type === "train") {
      for (const name of TRAIN) this.#train[name].push(record[name]);
    } else if (record.type === "eval") {
      const { tokens, seconds } = this.#train;
      this.#evaluation.step.push(record.step);
      this.#evaluation.tokens.push(tokens.view.at(-1) ?? 0);
      this.#evaluation.seconds.push(seconds.view.at(-1) ?? 0);
      this.#evaluation.loss.push(record.loss);
      this.#evaluation.perplexity.push(record.perplexity);
    } else if (record.type === "sample") {
      this.samples.push(record);
    } else if (record.type === "skip") {
      this.skips.push(record);
    }
  }

  points(metric: Metric, axis: Axis): Points {
    if (metric === "perplexity") return { x: this.#evaluation[axis].view, y: this.#evaluation.perplexity.view };
    return { x: this.#train[axis].view, y: this.#train[metric].view };
  }
}
