/** The HTTP side: routes, who may ask, logs with a number for each request and nothing of its text, errors in one form. */
import { randomBytes } from "node:crypto";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify, LogController } from "fastify";
import { failureOf, RequestError } from "../../service/failure.ts";
import type { Failure } from "../../service/jobs.ts";
import { isLoopback, namesLoopback } from "../../service/loopback.ts";
import { bearerOf, sameSecret } from "../../service/secret.ts";
import { errorBody } from "../error-body.ts";
import { answerCompletion } from "./completions-route.ts";
import { addRoutes } from "./routes.ts";
import type { Service } from "./service.ts";

export interface AppOptions {
  readonly service: Service;
  /** Who asks must know it. */
  readonly key: string | undefined;
  /** Where log lines go: JSON, one a line. */
  readonly log: { write(line: string): void } | undefined;
}

/** How often the time of requests that are arriving is looked at. */
const LOOK_MS = 1000;
const KEEP_ALIVE_MS = 65_000;

export function createApp({ service, key, log }: AppOptions): FastifyInstance {
  const { bodyKilobytes, cors, host, receiveSeconds } = service.settings;
  const app = fastify({
    logger: log ? { stream: log, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` } : false,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => `req_${randomBytes(12).toString("hex")}`,
    bodyLimit: 1024 * bodyKilobytes,
    http: { connectionsCheckingInterval: LOOK_MS, headersTimeout: 1000 * receiveSeconds },
    requestTimeout: 1000 * receiveSeconds,
    connectionTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: "idle",
    return503OnClosing: false,
    exposeHeadRoutes: false,
    onProtoPoisoning: "error",
  });
  app.removeContentTypeParser("text/plain"); // which a page of another origin may send without asking
  app.setErrorHandler((error, request, reply) => answerFailure(publicFailure(error, service), error, request, reply));
  app.setNotFoundHandler((request, reply) => {
    const failure = new RequestError(404, `${request.method} of this path: there is nothing here`, {
      code: "not_found",
    });
    return reply.code(404).send(errorBody(failure));
  });
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
    requireHost(request, host, key);
    if (cors !== undefined && request.headers.origin === cors) {
      reply.header("access-control-allow-origin", cors).header("vary", "origin");
      if (request.method === "OPTIONS") {
        reply.header("access-control-allow-methods", "GET, POST, DELETE");
        reply
          .header("access-control-allow-headers", "authorization, content-type")
          .header("access-control-max-age", "600");
        return reply.code(204).send();
      }
    }
    if (key !== undefined && request.routeOptions.url !== "/healthz") requireKey(request, key);
  });
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "unknown"; // the pattern: a path may hold the id of a session
    const status = reply.raw.destroyed && !reply.raw.writableFinished ? 499 : reply.statusCode;
    service.metrics.requests.inc({ route, status });
    service.metrics.requestSeconds.observe({ route }, reply.elapsedTime / 1000);
    const { method } = request;
    request.log.info({ method, route, status, milliseconds: Math.round(reply.elapsedTime) }, "request");
  });
  if (cors !== undefined) app.options("*", async (_, reply) => reply.code(204).send());
  app.post("/v1/completions", (request, reply) => answerCompletion(service, request, reply));
  addRoutes(app, service);
  return app;
}

function answerFailure(failure: Failure, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  if (failure.status >= 500) request.log.error({ code: failure.code, error: stackOf(error) }, "request failed");
  // A client that has left gets nothing; 499 is what the log says.
  void reply.code(failure.status).send(errorBody(failure));
}

/** Failures of the framework have messages of their own, which say nothing of the body. */
function publicFailure(error: unknown, service: Service): Failure {
  const { code, statusCode } = error as { code?: string; statusCode?: number };
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    const limit = `${service.settings.bodyKilobytes} kB`;
    return { status: 413, code: "body_too_large", param: null, message: `the body is larger than ${limit}` };
  }
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE")
    return { status: 415, code: null, param: null, message: "expected a body of content-type application/json" };
  if (
    error instanceof SyntaxError ||
    code === "FST_ERR_CTP_EMPTY_JSON_BODY" ||
    code === "FST_ERR_CTP_INVALID_JSON_BODY"
  )
    return { status: 400, code: "invalid_json", param: null, message: "the body is not valid JSON" };
  if (code?.startsWith("FST_ERR_CTP") && statusCode !== undefined && statusCode < 500)
    return { status: statusCode, code: null, param: null, message: "the body could not be read" };
  return failureOf(error);
}

function stackOf(error: unknown): string {
  return error instanceof Error && !(error instanceof RequestError) ? (error.stack ?? error.message) : String(error);
}

function requireKey({ headers }: FastifyRequest, key: string): void {
  if (sameSecret(bearerOf(headers.authorization), key)) return;
  throw new RequestError(401, "expected the key of this server as Authorization: Bearer KEY", {
    code: "invalid_api_key",
  });
}

/**
 * A server for this machine alone, without a key, answers only to names of this machine: a page whose own name was made to
 * point here would otherwise be of the same origin.
 */
function requireHost({ headers }: FastifyRequest, host: string, key: string | undefined): void {
  if (key !== undefined || !isLoopback(host) || namesLoopback(headers.host)) return;
  throw new RequestError(403, "expected a Host of this machine, such as localhost", { code: "wrong_host" });
}
