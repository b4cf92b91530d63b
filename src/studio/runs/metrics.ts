/** The metrics of runs: pages of records from a byte on, and all numbers as columns, which grow with the file. */
import type { MetricsPage, MetricsRecord, RunColumns } from "../api.ts";
import { MetricsFile } from "./metrics-file.ts";

const PAGE_BYTES = 1 << 20;

const EMPTY: MetricsPage = { generation: "", reset: false, from: 0, next: 0, more: false, records: [] };

/** The records from a byte of a generation on; from the start where that generation is gone. */
export async function metricsPage(
  path: string,
  { from = 0, generation }: { readonly from?: number | undefined; readonly generation?: string | undefined },
): Promise<MetricsPage> {
  const page = await MetricsFile.read(path, async (file) => {
    const { state } = file;
    const reset = (generation !== undefined && generation !== state.generation) || from > state.bytes;
    const begin = reset ? 0 : from;
    const { records, next } = await file.lines(begin, PAGE_BYTES);
    const more = next > begin && state.bytes - next > 0 && next - begin > PAGE_BYTES / 2;
    return { generation: state.generation, reset, from: begin, next, more, records };
  });
  return page ?? { ...EMPTY, reset: from > 0 };
}

/** An array that grows at its end. */
class Column<Values extends Float32Array | Float64Array> {
  #values: Values;
  readonly #make: (length: number) => Values;
  #length = 0;

  constructor(make: (length: number) => Values) {
    this.#make = make;
    this.#values = make(256);
  }

  add(value: number | null | undefined): void {
    if (this.#length === this.#values.length) {
      const longer = this.#make(2 * this.#length);
      longer.set(this.#values);
      this.#values = longer;
    }
    this.#values[this.#length++] = value ?? Number.NaN;
  }

  get values(): Values {
    return this.#values.subarray(0, this.#length) as Values;
  }
}

const wide = () => new Column((length) => new Float64Array(length));
const narrow = () => new Column((length) => new Float32Array(length));

/** The columns of one run, filled as far as its file was read. */
class GrowingColumns {
  generation = "";
  next = 0;
  #train = this.#emptyTrain();
  #eval = this.#emptyEval();
  #others: MetricsRecord[] = [];
  #tokens = 0;
  #seconds = 0;

  /** Starts again for a file that was written anew. */
  reset(generation: string): void {
    this.generation = generation;
    this.next = 0;
    this.#train = this.#emptyTrain();
    this.#eval = this.#emptyEval();
    this.#others = [];
    this.#tokens = 0;
    this.#seconds = 0;
  }

  add(records: readonly MetricsRecord[]): void {
    for (const record of records) {
      if (record.type === "train") {
        for (const [name, column] of Object.entries(this.#train))
          column.add(record[name as keyof typeof record] as number);
        this.#tokens = record.tokens;
        this.#seconds = record.seconds;
      } else if (record.type === "eval") {
        const { step, loss } = record;
        const row = { step, loss, tokens: this.#tokens, seconds: this.#seconds };
        for (const [name, column] of Object.entries(this.#eval)) column.add(row[name as keyof typeof row]);
      } else this.#others.push(record);
    }
  }

  get columns(): RunColumns {
    const { step, tokens, seconds, loss, gradientNorm, learningRate, tokensPerSecond, memory } = this.#train;
    const { eval: evaluations } = { eval: this.#eval };
    return {
      ...{ generation: this.generation, next: this.next, others: this.#others },
      train: {
        ...{ step: step.values, tokens: tokens.values, seconds: seconds.values },
        ...{ loss: loss.values, gradientNorm: gradientNorm.values, learningRate: learningRate.values },
        ...{ tokensPerSecond: tokensPerSecond.values, memory: memory.values },
      },
      eval: {
        ...{ step: evaluations.step.values, tokens: evaluations.tokens.values },
        ...{ seconds: evaluations.seconds.values, loss: evaluations.loss.values },
      },
    };
  }

  #emptyTrain() {
    return {
      ...{ step: wide(), tokens: wide(), seconds: wide() },
      ...{ loss: narrow(), gradientNorm: narrow(), learningRate: narrow(), tokensPerSecond: narrow() },
      memory: wide(),
    };
  }

  #emptyEval() {
    return { step: wide(), tokens: wide(), seconds: wide(), loss: narrow() };
  }
}

/** A part is parsed at a time, between which others are answered. */
const PART_BYTES = 1 << 20;
/** How many runs' columns are kept. */
const KEPT = 16;

export class ColumnsOfRuns {
  readonly #kept = new Map<string, { readonly columns: GrowingColumns; reading: Promise<unknown> }>();

  /** All numbers of the run at a path so far; only what is new is read. */
  async of(path: string): Promise<RunColumns> {
    const kept = this.#kept.get(path) ?? { columns: new GrowingColumns(), reading: Promise.resolve() };
    this.#kept.delete(path);
    this.#kept.set(path, kept); // as the newest
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT) this.#kept.delete(oldest);
    const reading = kept.reading.catch(() => {}).then(() => readOn(path, kept.columns));
    kept.reading = reading;
    await reading;
    return kept.columns.columns;
  }
}

async function readOn(path: string, columns: GrowingColumns): Promise<void> {
  const there = await MetricsFile.read(path, async (file) => {
    const { generation, bytes } = file.state;
    if (generation !== columns.generation || bytes < columns.next) columns.reset(generation);
    for (let more = true; more; ) {
      const { records, next } = await file.lines(columns.next, PART_BYTES);
      columns.add(records);
      more = next > columns.next;
      columns.next = next;
    }
    return true;
  });
  if (there === undefined) columns.reset("");
}
