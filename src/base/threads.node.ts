/** Starting worker threads, from the built package as from a checkout. */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { type ResourceLimits, Worker } from "node:worker_threads";

/** The script `name` beside the module at `url`, in the same language: the built package has JavaScript, a checkout TypeScript. */
export function scriptBeside(url: string, name: string): URL {
  return new URL(`./${name}.${url.endsWith(".ts") ? "ts" : "js"}`, url);
}

export interface ThreadOptions {
  /** What the script finds as `workerData`. */
  readonly data: unknown;
  readonly limits: ResourceLimits;
}

/**
 * Starts a thread without the options of this process, some of which no thread takes. A thread inherits no loader of
 * TypeScript where the program was transformed before it ran: it loads its own.
 */
export function startThread(script: URL, { data: workerData, limits: resourceLimits }: ThreadOptions): Worker {
  if (!script.pathname.endsWith(".ts")) return new Worker(script, { workerData, execArgv: [], resourceLimits });
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx/package.json"));
  const source = `import(${JSON.stringify(new URL("dist/esm/api/index.mjs", tsx).href)}).then(({ register }) => {
    register();
    return import(${JSON.stringify(script.href)});
  });`;
  return new Worker(source, { eval: true, workerData, execArgv: [], resourceLimits });
}
