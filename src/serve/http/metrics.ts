/** What Prometheus is told (prom-client). Counts of a model come from its thread when they are asked for. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { ModelStatistics, ModelThread } from "../protocol.ts";

const GAUGES: readonly (readonly [string, string, (own: ModelStatistics) => number])[] = [
  ["active_texts", "Texts that are being written.", ({ active }) => active],
  ["batch_size", "Places of the batch in which they are written.", ({ batch }) => batch],
  ["waiting_texts", "Texts that wait for a place.", ({ waiting }) => waiting],
  ["sessions", "Sessions that are kept.", ({ sessions }) => sessions.count],
  ["session_bytes", "Memory of sessions.", ({ sessions }) => sessions.bytes],
  ["session_disk_bytes", "Files of sessions.", ({ sessions }) => sessions.diskBytes],
  ["prefixes", "States of prompts that are kept.", ({ prefixes }) => prefixes.count],
  ["prefix_bytes", "Memory of states of prompts.", ({ prefixes }) => prefixes.bytes],
];

const COUNTERS: readonly (readonly [string, string, (own: ModelStatistics) => number])[] = [
  ["prompt_tokens_total", "Tokens of prompts.", ({ promptTokens }) => promptTokens],
  ["cached_tokens_total", "Tokens of prompts that were not read again.", ({ cachedTokens }) => cachedTokens],
  ["written_tokens_total", "Tokens written.", ({ writtenTokens }) => writtenTokens],
  ["prefix_hits_total", "Prompts whose beginning was known.", ({ prefixes }) => prefixes.hits],
  [
    "prefix_misses_total",
    "Prompts of more than a part whose beginning was not known.",
    ({ prefixes }) => prefixes.misses,
  ],
  ["steps_total", "Steps of the batch.", ({ steps }) => steps],
  ["decode_seconds_total", "Time of steps: the engine's, and choosing tokens.", ({ decodeSeconds }) => decodeSeconds],
  ["engine_seconds_total", "Time of steps in the engine.", ({ engineSeconds }) => engineSeconds],
];

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const RATES = [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000];

export class Metrics {
  readonly #registry = new Registry();
  readonly requests: Counter<"route" | "status">;
  readonly firstToken: Histogram<"model">;
  readonly requestSeconds: Histogram<"route">;
  readonly decodeRate: Histogram<"model">;

  constructor(models: readonly ModelThread[]) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry, prefix: "longhand_" });
    const name = (own: string) => `longhand_${own}`;
    for (const [kind, list] of [
      [Gauge, GAUGES],
      [Counter, COUNTERS],
    ] as const) {
      for (const [own, help, read] of list) {
        new kind({
          ...{ name: name(own), help, labelNames: ["model"], registers },
          collect() {
            this.reset();
            for (const { name: model, statistics } of models) if (statistics) this.inc({ model }, read(statistics));
          },
        });
      }
    }
    this.requests = new Counter({
      ...{ name: name("requests_total"), help: "Requests answered.", labelNames: ["route", "status"], registers },
    });
    this.requestSeconds = new Histogram({
      ...{
        name: name("request_seconds"),
        help: "Time of requests.",
        labelNames: ["route"],
        registers,
        buckets: SECONDS,
      },
    });
    this.firstToken = new Histogram({
      ...{ name: name("first_token_seconds"), help: "Time until a completion's first token.", buckets: SECONDS },
      ...{ labelNames: ["model"], registers },
    });
    this.decodeRate = new Histogram({
      ...{ name: name("decode_tokens_per_second"), help: "Tokens a second of a completion after its first." },
      ...{ labelNames: ["model"], registers, buckets: RATES },
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
