/** A server of trained models: an OpenAI-compatible API over HTTP, a thread for each model. */
import type { Server as HttpServer } from "node:http";
import { basename, resolve } from "node:path";
import { LonghandError } from "../base/errors.ts";
import { scriptBeside } from "../base/threads.node.ts";
import { parseSettings } from "../config/fields.ts";
import { type ServeSettingsInput, serveSettingsSchema } from "../config/serve-settings.ts";
import { type LoadSettings, loadSettingsSchema } from "../config/use-settings.ts";
import { JobThread } from "../service/job-thread.ts";
import { listenError } from "../service/listen.ts";
import { isLoopback } from "../service/loopback.ts";
import type { ModelThread, Serving } from "./protocol.ts";

export interface ServeOptions extends ServeSettingsInput, LoadSettings {
  /** Paths of trained models; each is served under the name of its folder. */
  readonly models: readonly string[];
  /** Who asks must send it as a bearer token. Default: nobody needs one. */
  readonly key?: string | undefined;
  /** Gets the log: JSON, one line for each request, with nothing of its text. Default: no log. */
  readonly log?: { write(line: string): void } | undefined;
  /** Gets what the user should know. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

export interface Server {
  /** Such as http://127.0.0.1:8080. */
  readonly address: string;
  /** Names of the models. */
  readonly models: readonly string[];
  /** Resolves with the reason when a model stops working by itself; the server then answers 503. */
  readonly failed: Promise<string>;
  /** Ends what has begun, at most for `graceSeconds`, saves sessions, and stops. */
  close(): Promise<void>;
}

/**
 * Loads the models and listens. Throws "usage" for a wrong setting, "io" for an address that cannot be had, and as
 * loadModel.
 */
export async function serve(options: ServeOptions): Promise<Server> {
  const { models: paths, key, log, onWarning = () => {}, threads, device, adapter, ...given } = options;
  const settings = parseSettings(serveSettingsSchema, given);
  const load = parseSettings(loadSettingsSchema, { threads, device, adapter });
  const names = namesOf(paths);
  if (adapter !== undefined && paths.length > 1)
    throw new LonghandError("usage", "`adapter`: expected one model beside it, the one that it was trained for");
  if (key === "") throw new LonghandError("usage", "the key of the server: expected some text, got an empty one");
  if (key === undefined && !isLoopback(settings.host))
    onWarning(`anyone who reaches ${settings.host} may use this server: set LONGHAND_API_KEY to ask for a key`);
  let fail: (reason: string) => void = () => {};
  const failed = new Promise<string>((resolve) => {
    fail = resolve;
  });
  const threadsOfModels: ModelThread[] = [];
  const stopModels = () => Promise.all(threadsOfModels.map((model) => model.close()));
  try {
    for (const [i, path] of paths.entries()) {
      const setup = { path, load, settings, name: names[i] };
      const script = scriptBeside(import.meta.url, "model/worker");
      const about = { script, setup, path, name: names[i] };
      threadsOfModels.push(await JobThread.start<Serving>({ ...about, onWarning, onDeath: fail }));
    }
    // Loaded when something is served: the library has other uses.
    const { createApp } = await import("./http/app.ts");
    const { Service } = await import("./http/service.ts");
    const service = new Service(threadsOfModels, settings);
    const app = createApp({ service, key, log });
    const host = settings.host === "localhost" ? "127.0.0.1" : settings.host; // of its two addresses one
    const address = await app.listen({ host, port: settings.port }).catch((error) => {
      throw listenError(error, settings);
    });
    let closing: Promise<void> | undefined;
    const close = async () => {
      const closed = app.close();
      await service.drain(1000 * settings.graceSeconds);
      await letGo(app.server, closed);
      await stopModels();
    };
    return {
      ...{ address, models: names, failed },
      close: () => {
        closing ??= close();
        return closing;
      },
    };
  } catch (error) {
    await stopModels();
    throw error;
  }
}

/** Time for the last bytes to reach slow clients. */
const LAST_BYTES_MS = 2000;
const LOOK_MS = 50;

/** Closes connections as they become idle: a client would keep them for its next request. */
async function letGo(server: HttpServer, closed: Promise<void>): Promise<void> {
  const idle = setInterval(() => server.closeIdleConnections(), LOOK_MS);
  const all = setTimeout(() => server.closeAllConnections(), LAST_BYTES_MS);
  await closed.finally(() => {
    clearInterval(idle);
    clearTimeout(all);
  });
}

function namesOf(paths: readonly string[]): string[] {
  if (paths.length === 0) throw new LonghandError("usage", "models: expected at least one, got none");
  const names = paths.map((path) => basename(resolve(path)));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return names;
  throw new LonghandError("usage", `models: two are named ${twice}, after their folders; rename one of these`);
}
