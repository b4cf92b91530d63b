/** The playground's routes: jobs of models, as one answer or as lines while the work goes on. */
import type { FastifyInstance, FastifyReply } from "fastify";
import { failureOf } from "../../service/failure.ts";
import { ReplyStream } from "../../service/reply-stream.ts";
import type { Api } from "../api.ts";
import type { JobEvents, Models } from "../model/models.ts";
import { attentionBody, checked, fillBody, runQuery, scoreBody, textBody, writeBody } from "./requests.ts";

type Answer<Route extends keyof Api> = Api[Route]["answer"];

/** Bytes of the body of a request with a long text. */
const LONG_BODY = 200 << 20;

export function addModelRoutes(app: FastifyInstance, models: Models): void {
  app.post("/api/model", async ({ body }): Promise<Answer<"POST /api/model">> => {
    return models.facts(checked(runQuery, body).run);
  });

  app.post("/api/text", async ({ body }, reply): Promise<Answer<"POST /api/text">> => {
    const { run, ...rest } = checked(textBody, body);
    const { number, result } = await models.run(run, { kind: "text", ...rest }, reply);
    return { ...result, text: `${number}.${result.text}` };
  });

  app.post("/api/write", async ({ body }, reply) => {
    const { text, ...rest } = checked(writeBody, body);
    return lines(reply, (events) =>
      models.runOnText(text, (own) => ({ kind: "write", ...rest, text: own }), reply, events),
    );
  });

  app.post("/api/attention", async ({ body }, reply): Promise<Answer<"POST /api/attention">> => {
    const { text, position } = checked(attentionBody, body);
    return models.runOnText(text, (own) => ({ kind: "attention", text: own, position }), reply);
  });

  app.post("/api/fill", async ({ body }, reply): Promise<Answer<"POST /api/fill">> => {
    const { run, ...rest } = checked(fillBody, body);
    return (await models.run(run, { kind: "fill", ...rest }, reply)).result;
  });

  app.post("/api/score", { bodyLimit: LONG_BODY }, async ({ body }, reply) => {
    const { run, text } = checked(scoreBody, body);
    return lines(reply, async (events) => (await models.run(run, { kind: "score", text }, reply, events)).result);
  });
}

/** Sends what a job tells as lines, its result as the last; a failure after the first line is a line too. */
async function lines(reply: FastifyReply, work: (events: JobEvents) => Promise<object>): Promise<void> {
  const stream = new ReplyStream(reply, "lines");
  try {
    const result = await work({
      onPiece: (piece) => stream.send(piece),
      onStart: (running) => stream.pauses(running),
    });
    stream.end(result);
  } catch (error) {
    if (!stream.begun) throw error; // an ordinary answer can still tell
    stream.end({ type: "error", error: failureOf(error).message });
  }
}
