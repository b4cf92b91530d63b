/** What all routes share: the models, the limits, and how a job is run for a request. */
import type { FastifyReply } from "fastify";
import type { ServeSettings } from "../../config/serve-settings.ts";
import { RequestError } from "../../service/failure.ts";
import type { RunningJob } from "../../service/job-thread.ts";
import type { Job, JobResults, ModelThread, Piece } from "../protocol.ts";
import { Metrics } from "./metrics.ts";

export class Service {
  readonly settings: ServeSettings;
  readonly models: ReadonlyMap<string, ModelThread>;
  readonly metrics: Metrics;
  readonly #running = new Set<AbortController>();
  readonly #jobsByModel = new Map<ModelThread, number>();
  #idle = () => {};
  #stopping = false;
  /** Seconds of recent jobs, for Retry-After. */
  #meanSeconds = 1;

  constructor(models: readonly ModelThread[], settings: ServeSettings) {
    this.models = new Map(models.map((model) => [model.name, model]));
    this.settings = settings;
    this.metrics = new Metrics(models);
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  model(name: string): ModelThread {
    const model = this.models.get(name);
    if (model) return model;
    const names = [...this.models.keys()].join(", ");
    throw new RequestError(404, `model: there is no ${JSON.stringify(name.slice(0, 100))}; here are ${names}`, {
      code: "model_not_found",
      param: "model",
    });
  }

  /**
   * Runs a job for the client of `reply`, who cancels it by leaving, and within the time that a request may take. Throws 429
   * where too many wait.
   */
  async run<J extends Job>(
    model: ModelThread,
    job: J,
    reply: FastifyReply,
    {
      onPiece,
      onStart,
    }: { onPiece?: (piece: Piece) => void; onStart?: (running: RunningJob<JobResults[J["kind"]]>) => void } = {},
  ): Promise<JobResults[J["kind"]]> {
    if (this.#stopping) throw new RequestError(503, "the server is stopping", { code: "stopping" });
    const { batch, queue, requestSeconds } = this.settings;
    const before = this.#jobsByModel.get(model) ?? 0;
    if (before >= batch + queue) {
      const wait = Math.min(60, Math.max(1, Math.ceil((this.#meanSeconds * before) / batch)));
      reply.header("retry-after", wait);
      throw new RequestError(429, `${before} requests are waiting already; try again in ${wait} s`, {
        code: "queue_full",
      });
    }
    const controller = new AbortController();
    const late = new RequestError(504, `the request took longer than ${requestSeconds} s`, { code: "timeout" });
    const timer = setTimeout(() => controller.abort(late), 1000 * requestSeconds);
    const left = () => {
      if (!reply.raw.writableFinished) controller.abort(new RequestError(499, "the client has left"));
    };
    reply.raw.once("close", left);
    this.#running.add(controller);
    this.#jobsByModel.set(model, before + 1);
    const begun = performance.now();
    try {
      const running = model.run(job, { signal: controller.signal, ...(onPiece && { onPiece }) });
      onStart?.(running);
      return await running.result;
    } catch (error) {
      throw controller.signal.aborted ? controller.signal.reason : error;
    } finally {
      clearTimeout(timer);
      reply.raw.off("close", left);
      this.#running.delete(controller);
      this.#jobsByModel.set(model, (this.#jobsByModel.get(model) ?? 1) - 1);
      this.#meanSeconds += ((performance.now() - begun) / 1000 - this.#meanSeconds) / 10;
      if (this.#running.size === 0) this.#idle();
    }
  }

  /** Refuses new jobs; those that run may end within the time of grace, then they are cancelled. */
  async drain(graceMs: number): Promise<void> {
    this.#stopping = true;
    if (this.#running.size === 0) return;
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    const stop = new RequestError(503, "the server is stopping", { code: "stopping" });
    const timer = setTimeout(() => {
      for (const controller of this.#running) controller.abort(stop);
    }, graceMs);
    await idle;
    clearTimeout(timer);
  }
}
