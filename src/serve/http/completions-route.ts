/** POST /v1/completions, as one answer or as a stream of server-sent events. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { failureOf } from "../../service/failure.ts";
import { ReplyStream } from "../../service/reply-stream.ts";
import { errorBody } from "../error-body.ts";
import type { CompletionJob, ModelThread, Piece } from "../protocol.ts";
import { chunkOf, headOf, jobOf, lastChunkOf, WholeCompletion } from "./completion-body.ts";
import { completionSchema, parseBody } from "./schemas.ts";
import type { Service } from "./service.ts";

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
  const events = new ReplyStream(reply, "events", "reading");
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
