/** All routes but completions: models, embeddings, bits, blanks, sessions, health, metrics. */
import type { FastifyInstance } from "fastify";
import { RequestError } from "../../service/failure.ts";
import type { ModelThread } from "../protocol.ts";
import { embeddingSchema, fillSchema, inputsOf, parseBody, scoreSchema } from "./schemas.ts";
import type { Service } from "./service.ts";

export function addRoutes(app: FastifyInstance, service: Service): void {
  const created = Math.floor(Date.now() / 1000);
  const described = ({ name, facts }: ModelThread) => ({
    ...{ id: name, object: "model", created, owned_by: "longhand" },
    ...{ architecture: facts.architecture, objective: facts.objective },
    max_length: Number.isFinite(facts.maxLength) ? facts.maxLength : null,
    state_bytes: facts.stateBytes,
  });

  app.get("/healthz", async (_, reply) => {
    const dead = [...service.models.values()].filter(({ alive }) => !alive);
    const status = service.stopping ? "stopping" : dead.length > 0 ? "failed" : "ok";
    return reply.code(status === "ok" ? 200 : 503).send({ status });
  });

  app.get("/metrics", async (_, reply) => reply.type(service.metrics.contentType).send(await service.metrics.text()));

  app.get("/v1/models", async () => ({ object: "list", data: [...service.models.values()].map(described) }));

  app.get<{ Params: { id: string } }>("/v1/models/:id", async ({ params }) => described(service.model(params.id)));

  app.post("/v1/embeddings", async (request, reply) => {
    const body = parseBody(embeddingSchema, request.body);
    const model = service.model(body.model);
    const inputs = inputsOf(body.input, "input");
    const { vectors, tokens } = await service.run(model, { kind: "embed", inputs }, reply);
    const written = ({ buffer, byteOffset, byteLength }: Float32Array) =>
      Buffer.from(buffer, byteOffset, byteLength).toString("base64");
    return {
      object: "list",
      model: model.name,
      data: vectors.map((vector, index) => ({
        ...{ object: "embedding", index },
        embedding: body.encoding_format === "base64" ? written(vector) : Array.from(vector),
      })),
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    };
  });

  app.post("/score", async (request, reply) => {
    const body = parseBody(scoreSchema, request.body);
    const model = service.model(body.model);
    const inputs = inputsOf(body.input, "input");
    const { texts } = await service.run(model, { kind: "score", inputs, each: body.tokens === true }, reply);
    const data = texts.map(({ tokens, bytes, bits, each }, index) => ({
      ...{ object: "score", index, tokens, bytes, bits },
      bits_per_token: bits / tokens,
      bits_per_byte: bits / bytes,
      perplexity: 2 ** (bits / tokens),
      ...(each && { each }),
    }));
    const count = texts.reduce((sum, { tokens }) => sum + tokens, 0);
    return { object: "list", model: model.name, data, usage: { prompt_tokens: count, total_tokens: count } };
  });

  app.post("/fill", async (request, reply) => {
    const body = parseBody(fillSchema, request.body);
    const model = service.model(body.model);
    const topK = body.top_k ?? undefined;
    const filled = await service.run(model, { kind: "fill", text: body.input, topK }, reply);
    return { object: "fill", model: model.name, text: filled.text, blanks: filled.blanks };
  });

  for (const [method, kind] of [
    ["GET", "look"],
    ["DELETE", "forget"],
  ] as const) {
    app.route<{ Params: { id: string } }>({
      method,
      url: "/v1/sessions/:id",
      handler: async ({ params }, reply) => {
        const { id, position, bytes, used, model } = await sessionOf(service, kind, params.id, reply);
        const facts = kind === "forget" ? { deleted: true } : { position, bytes, last_used: used };
        return { id, object: "session", model, ...facts };
      },
    });
  }
}

/** A session is of one model, which its id does not tell. */
async function sessionOf(
  service: Service,
  kind: "look" | "forget",
  session: string,
  reply: Parameters<Service["run"]>[2],
) {
  const unknown = new RequestError(404, "session: there is none of this id", { code: "session_not_found" });
  for (const model of service.models.values()) {
    if (model.facts.objective !== "causal") continue;
    try {
      return { ...(await service.run(model, { kind, session }, reply)), model: model.name };
    } catch (error) {
      if (!(error instanceof RequestError && error.status === 404)) throw error;
    }
  }
  throw unknown;
}
