/** POST /v1/completions, as one answer or as a stream of server-sent events. */
import type { ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import { errorBody, failureOf } from "../failure.ts";
import type { ModelThread, RunningJob } from "../model-thread.ts";
import type { CompletionJob, Piece } from "../protocol.ts";
import { chunkOf, headOf, jobOf, lastChunkOf, WholeCompletion } from "./completion-body.ts";
import { completionSchema, parseBody } from "./schemas.ts";
import type { Service } from "./service.ts";

/** A proxy closes a connection on which nothing comes for long: a comment comes, which clients pass over. */
const COMMENT_MS = 15_000;

export async function answerCompletion(service: Service, request: FastifyRequest, reply: FastifyReply) {
  const body = parseBody(completionSchema, request.body);
  const model = service.model(body.model);
  const job = jobOf(body, service.settings);
  const timing = new Timing(service, model);
  if (body.stream)
    return stream(service, { model, job, reply, timing, withUsage: body.stream_options?.include_usage === true });
  const whole = new WholeCompletion(job);
  const onPiece = (piece: Piece) => {
    timing.piece();
    whole.add(piece);
  };
  const completed = await service.run(model, job, reply, { onPiece });
  timing.end(completed.usage.completion);
  return whole.body(headOf(model.name), completed);
}

interface Streaming {
  readonly model: ModelThread;
  readonly job: CompletionJob;
  readonly reply: FastifyReply;
  readonly timing: Timing;
  readonly withUsage: boolean;
}

async function stream(service: Service, { model, job, reply, timing, withUsage }: Streaming): Promise<void> {
  const head = headOf(model.name);
  const events = new EventStream(reply);
  try {
    const completed = await service.run(model, job, reply, {
      onPiece: (piece) => {
        timing.piece();
        events.send(chunkOf(head, piece, job));
      },
      onStart: (running) => events.pauses(running),
    });
    timing.end(completed.usage.completion);
    if (withUsage || completed.session) events.send(lastChunkOf(head, completed, withUsage));
    events.end("[DONE]");
  } catch (error) {
    if (!events.begun) throw error; // an ordinary answer can still tell
    reply.request.log.info({ code: failureOf(error).code }, "stream ended early");
    events.end(errorBody(failureOf(error)));
  } finally {
    events.close();
  }
}

/** Server-sent events of a reply. Its headers are sent with the first, so that an error before it has a status of its own. */
class EventStream {
  readonly #reply: FastifyReply;
  readonly #raw: ServerResponse;
  readonly #comments: NodeJS.Timeout;
  #running: RunningJob<"complete"> | undefined;

  constructor(reply: FastifyReply) {
    this.#reply = reply;
    this.#raw = reply.raw;
    this.#comments = setInterval(() => this.#write(": reading\n\n"), COMMENT_MS);
  }

  get begun(): boolean {
    return this.#raw.headersSent;
  }

  /** The job waits while the client does not read what it has been sent. */
  pauses(running: RunningJob<"complete">): void {
    this.#running = running;
    this.#raw.on("drain", () => running.pause(false));
  }

  send(data: object | string): void {
    this.#write(`data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`);
  }

  end(data: object | string): void {
    this.send(data);
    this.#raw.end();
  }

  close(): void {
    clearInterval(this.#comments);
  }

  #write(text: string): void {
    if (this.#raw.destroyed) return;
    if (!this.begun) {
      this.#reply.hijack();
      const headers = this.#reply.getHeaders() as Record<string, string>;
      const own = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" };
      this.#raw.writeHead(200, { ...headers, ...own, "x-accel-buffering": "no" });
    }
    if (!this.#raw.write(text)) this.#running?.pause(true);
  }
}

/** When the first token came, and how fast the others. */
class Timing {
  readonly #service: Service;
  readonly #model: string;
  readonly #begun = performance.now();
  #first: number | undefined;

  constructor(service: Service, { name }: ModelThread) {
    this.#service = service;
    this.#model = name;
  }

  piece(): void {
    if (this.#first !== undefined) return;
    this.#first = performance.now();
    this.#service.metrics.firstToken.observe({ model: this.#model }, (this.#first - this.#begun) / 1000);
  }

  end(tokens: number): void {
    if (this.#first === undefined || tokens < 2) return;
    const seconds = (performance.now() - this.#first) / 1000;
    this.#service.metrics.decodeRate.observe({ model: this.#model }, (tokens - 1) / seconds);
  }
}
