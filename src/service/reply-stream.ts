/**
 * An answer that comes in parts: server-sent events or lines of JSON. Its headers are sent with the first part, so
 * that an error before it has a status of its own. What makes the parts waits while the client does not read.
 */
import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";

const TYPES = {
  events: "text/event-stream; charset=utf-8",
  lines: "application/x-ndjson; charset=utf-8",
} as const;

/** A proxy closes a connection on which nothing comes for long: a comment comes, which clients pass over. */
const COMMENT_MS = 15_000;

export class ReplyStream {
  readonly #reply: FastifyReply;
  readonly #raw: ServerResponse;
  readonly #form: keyof typeof TYPES;
  readonly #comments: NodeJS.Timeout | undefined;
  #source: { pause(paused: boolean): void } | undefined;

  /** `comment`: what events have in quiet times. */
  constructor(reply: FastifyReply, form: keyof typeof TYPES, comment = "waiting") {
    this.#reply = reply;
    this.#raw = reply.raw;
    this.#form = form;
    if (form === "events") this.#comments = setInterval(() => this.#write(`: ${comment}\n\n`), COMMENT_MS);
  }

  get begun(): boolean {
    return this.#raw.headersSent;
  }

  get left(): boolean {
    return this.#raw.destroyed;
  }

  /** `source` waits while the client does not read what it has been sent. */
  pauses(source: { pause(paused: boolean): void }): void {
    this.#source = source;
    this.#raw.on("drain", () => source.pause(false));
  }

  send(data: object | string): void {
    const text = typeof data === "string" ? data : JSON.stringify(data);
    this.#write(this.#form === "events" ? `data: ${text}\n\n` : `${text}\n`);
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
      const own = { "content-type": TYPES[this.#form], "cache-control": "no-cache" };
      this.#raw.writeHead(200, { ...headers, ...own, "x-accel-buffering": "no" });
    }
    if (!this.#raw.write(text)) this.#source?.pause(true);
  }
}
