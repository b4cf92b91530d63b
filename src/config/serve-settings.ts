/** What a user can set for a server. */
import { z } from "zod";
import { optionalText, whole } from "./fields.ts";

export const serveSettingsSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").describe("Address to listen on; 0.0.0.0: all of this machine's."),
  port: whole(0).max(65535).default(8080).describe("Port to listen on; 0: any that is free."),
  cors: optionalText("origin", "Let pages of this origin (https://example.org) use the server; default: none."),
  batch: whole(1).max(64).default(8).describe("The most texts that are written together, a token of each at a time."),
  exact: z
    .boolean()
    .default(false)
    .describe(
      "Always compute with a batch of full size, so that no bit of a result depends on how many texts there are; few are then slower.",
    ),
  queue: whole(0).default(64).describe("The most requests that wait for their turn; others get status 429."),
  bodyKilobytes: whole(1).default(4096).describe("The largest body of a request."),
  promptTokens: whole(1).default(200_000).describe("The longest prompt."),
  mostTokens: whole(1).default(8192).describe("The most tokens to write for one request."),
  receiveSeconds: whole(1).default(30).describe("The most time for the headers and body of a request to arrive."),
  requestSeconds: whole(1).default(600).describe("The most time that a request takes, once it has been received."),
  sessions: optionalText("folder", "Save sessions here; default: they end with the server."),
  sessionCount: whole(0).default(64).describe("The most sessions of a model; the one unused for longest goes first."),
  sessionMegabytes: whole(1).default(1024).describe("Memory of a model's sessions, and their room on the disk."),
  sessionHours: z.number().gt(0).default(24).describe("How long a session is kept unused."),
  prefixMegabytes: whole(0).default(256).describe("Memory of a model for the states of prompts that begin alike."),
  graceSeconds: whole(0).default(10).describe("How long a server that is told to stop finishes what it has begun."),
});

export type ServeSettingsInput = z.input<typeof serveSettingsSchema>;
export type ServeSettings = z.output<typeof serveSettingsSchema>;
