/** The routes of the studio: each request is checked, handed on, and its answer sent (api.ts). */
import { totalmem } from "node:os";
import { resolve } from "node:path";
import type { FastifyInstance } from "fastify";
import { processors } from "../../base/processors.node.ts";
import { version } from "../../run/machine/version.ts";
import { RequestError } from "../../service/failure.ts";
import { ReplyStream } from "../../service/reply-stream.ts";
import type { Api, StudioEvent } from "../api.ts";
import { encodeColumns } from "../columns.ts";
import type { Models } from "../model/models.ts";
import { detailsOf, differencesOf } from "../runs/details.ts";
import type { RunsFolder } from "../runs/folder.ts";
import type { Live } from "../runs/live.ts";
import { type ColumnsOfRuns, metricsPage } from "../runs/metrics.ts";
import { reportFile, reportsIn } from "../runs/reports.ts";
import { processIn, shownConfig } from "../runs/summary.ts";
import { trainingCommand, trainingForm, trainingRequestSchema } from "../training/command.ts";
import type { Trainings } from "../training/processes.ts";
import { REPORT_HEADERS } from "./guard.ts";
import { checked, differencesQuery, metricsQuery, outputQuery, runQuery } from "./requests.ts";

export interface StudioParts {
  readonly folder: RunsFolder;
  readonly columns: ColumnsOfRuns;
  readonly trainings: Trainings;
  readonly live: Live;
  readonly models: Models;
}

/** Bytes of events that a page may leave unread. */
const MOST_UNREAD = 1 << 20;

type Answer<Route extends keyof Api> = Api[Route]["answer"];

/** What is seen of runs. */
export function addRunRoutes(app: FastifyInstance, { folder, columns, live }: StudioParts): void {
  app.get("/api/studio", async (): Promise<Answer<"GET /api/studio">> => {
    return {
      ...{ version, folder: resolve(folder.path) },
      ...{ processors: processors().available, memoryBytes: totalmem() },
    };
  });

  app.get("/api/runs", async (): Promise<Answer<"GET /api/runs">> => ({ runs: await folder.summaries() }));

  app.get("/api/run", async ({ query }): Promise<Answer<"GET /api/run">> => {
    const { run } = checked(runQuery, query);
    return detailsOf(await folder.summary(run), await folder.place(run));
  });

  app.get("/api/metrics", async ({ query }): Promise<Answer<"GET /api/metrics">> => {
    const { run, ...place } = checked(metricsQuery, query);
    return metricsPage(await folder.place(run), place);
  });

  app.get("/api/columns", async ({ query }, reply) => {
    const { run } = checked(runQuery, query);
    const bytes = encodeColumns(await columns.of(await folder.place(run)));
    return reply.type("application/octet-stream").send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  });

  app.get("/api/differences", async ({ query }): Promise<Answer<"GET /api/differences">> => {
    const { run: runs } = checked(differencesQuery, query);
    return differencesOf(runs, await Promise.all(runs.map(async (run) => shownConfig(await folder.place(run)))));
  });

  app.get("/api/events", async (_, reply) => {
    const events = new ReplyStream(reply, "events");
    let end = () => {};
    reply.raw.once("close", () => {
      end();
      events.close();
    });
    end = await live.listen((event: StudioEvent) => {
      // A page that does not read is told everything when it comes back.
      if (reply.raw.writableLength > MOST_UNREAD) reply.raw.destroy();
      else events.send(event);
    });
    if (reply.raw.destroyed) end();
  });

  app.get("/api/reports", async (): Promise<Answer<"GET /api/reports">> => ({ reports: await reportsIn(folder) }));

  app.get("/reports/*", async ({ params }, reply) => {
    const { type, bytes } = await reportFile(folder, (params as { readonly "*": string })["*"]);
    return reply.headers(REPORT_HEADERS).type(type).send(bytes);
  });
}

/** Trainings that are started and stopped. */
export function addTrainingRoutes(app: FastifyInstance, { folder, trainings, live }: StudioParts): void {
  const form = trainingForm();
  app.get("/api/settings", async (): Promise<Answer<"GET /api/settings">> => form);

  app.post("/api/command", async ({ body }): Promise<Answer<"POST /api/command">> => {
    return trainingCommand(folder.path, checked(trainingRequestSchema, body));
  });

  app.post("/api/trainings", async ({ body }): Promise<Answer<"POST /api/trainings">> => {
    const command = await trainingCommand(folder.path, checked(trainingRequestSchema, body));
    const training = await trainings.start(command);
    void live.look().catch(() => {});
    return training;
  });

  app.get("/api/trainings", async (): Promise<Answer<"GET /api/trainings">> => {
    return { trainings: await trainings.list() };
  });

  app.get("/api/output", async ({ query }): Promise<Answer<"GET /api/output">> => {
    const { training, from } = checked(outputQuery, query);
    return trainings.output(training, from);
  });

  app.post("/api/stop", async ({ body }): Promise<Answer<"POST /api/stop">> => {
    const { run } = checked(runQuery, body);
    const path = await folder.place(run).catch((error: unknown) => {
      if (error instanceof RequestError && error.status === 404) return undefined; // it has not begun to write
      throw error;
    });
    return { run, asked: await trainings.stop(run, path === undefined ? undefined : await processIn(path)) };
  });
}
