/** The HTTP side of the studio: who may ask, the page, and failures as one sentence. */
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { LonghandError, messageOf } from "../../base/errors.ts";
import { failureOf, RequestError } from "../../service/failure.ts";
import type { Refusal } from "../api.ts";
import { HEADERS, requireOwnOrigin, requireToken, takeToken } from "./guard.ts";
import { addModelRoutes } from "./model-routes.ts";
import { type PageFile, pageFiles } from "./page.ts";
import { addRunRoutes, addTrainingRoutes, type StudioParts } from "./routes.ts";

export interface StudioAppOptions extends StudioParts {
  readonly token: string;
  /** Folder of the built page. */
  readonly page: string;
  /** Gets what went wrong inside. */
  readonly onWarning: (message: string) => void;
}

export function createStudioApp({ token, page, onWarning, ...parts }: StudioAppOptions): FastifyInstance {
  const app = fastify({ exposeHeadRoutes: false, return503OnClosing: false, forceCloseConnections: true });
  const files = pageFiles(page);
  app.removeContentTypeParser("text/plain"); // which a page of another origin may send without asking
  app.setErrorHandler((error, request, reply) => {
    const { status, message } = refusalOf(error);
    if (status >= 500) onWarning(error instanceof Error ? (error.stack ?? error.message) : messageOf(error));
    // A person reads what is answered instead of the page.
    if (isPage(request)) return reply.code(status).type("text/plain; charset=utf-8").send(`${message}\n`);
    return refuse(reply, status, message);
  });
  app.setNotFoundHandler(({ method, url }, reply) => {
    return refuse(reply, 404, `${method} ${url.split("?")[0].slice(0, 100)}: there is nothing here`);
  });
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(HEADERS);
    const forPage = isPage(request);
    requireOwnOrigin(request, forPage);
    if (files.has(pathOf(request)) && !forPage) return; // what everybody has who has the package
    if (!(forPage && takeToken(request, reply, token))) requireToken(request, token);
  });
  const index = files.get("/index.html");
  app.get("/", async (_, reply) => sendPage(reply, index));
  for (const [path, file] of files) {
    app.get(path, async (_, reply) => {
      // The names of assets change with what they hold.
      if (path.startsWith("/assets/")) reply.header("cache-control", "private, max-age=31536000, immutable");
      return sendPage(reply, file);
    });
  }
  addRunRoutes(app, parts);
  addTrainingRoutes(app, parts);
  addModelRoutes(app, parts.models);
  return app;
}

const pathOf = ({ url }: FastifyRequest) => url.split("?")[0];
const isPage = (request: FastifyRequest) => ["/", "/index.html"].includes(pathOf(request));

function sendPage(reply: FastifyReply, file: PageFile | undefined): FastifyReply {
  if (file === undefined) throw new RequestError(404, "the page was not built: run `npm run build` in the checkout");
  return reply.type(file.type).send(file.read());
}

function refuse(reply: FastifyReply, status: number, error: string): FastifyReply {
  const body: Refusal = { error };
  return reply.code(status).send(body);
}

/** Failures of the framework have messages and statuses of their own. */
function refusalOf(error: unknown): { readonly status: number; readonly message: string } {
  const { statusCode, code } = error as { readonly statusCode?: number; readonly code?: string };
  if (code?.startsWith("FST_") && statusCode !== undefined && statusCode < 500)
    return { status: statusCode, message: messageOf(error) };
  if (error instanceof SyntaxError) return { status: 400, message: "the body is not valid JSON" };
  // Of a run that is damaged, or a disk that refuses: who asks is who owns them.
  if (error instanceof LonghandError) return { status: error.code === "usage" ? 400 : 409, message: error.message };
  return failureOf(error);
}
