/**
 * Requests to the hub: with the user's token, repeated where that helps (too many requests, a server or network that
 * fails for a moment), and failing with one sentence where it does not.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { InvalidApiResponseFormatError } from "@huggingface/hub";
import { LonghandError, messageOf } from "../../../base/errors.ts";

export interface HubAccess {
  /** Base address without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | undefined;
}

export interface RetryPolicy {
  /** Requests made before giving up. */
  readonly attempts: number;
  /** Waits before the second request, in milliseconds; doubled each time. */
  readonly firstWait: number;
}

const RETRIES: RetryPolicy = { attempts: 5, firstWait: 500 };

const ENDPOINT = "https://huggingface.co";
/** Where the hub asks to wait longer than this, the request fails instead. */
const LONGEST_WAIT = 300_000;

/** HF_ENDPOINT and HF_TOKEN, checked; throws "usage". */
export function hubAccess(env: NodeJS.ProcessEnv): HubAccess {
  const endpoint = (env.HF_ENDPOINT?.trim() || ENDPOINT).replace(/\/+$/, "");
  if (!URL.canParse(endpoint) || !/^https?:/.test(endpoint)) {
    throw new LonghandError("usage", `HF_ENDPOINT ${endpoint}: expected an address that begins with https://`);
  }
  const token = env.HF_TOKEN?.trim() || undefined;
  if (token !== undefined && !token.startsWith("hf_")) {
    throw new LonghandError("usage", "HF_TOKEN: expected a token that begins with hf_; unset it for public data sets");
  }
  return { endpoint, token };
}

/** A failure that may pass: the error to report if it does not, and how long the hub asks to wait, in milliseconds. */
class PassingFailure extends Error {
  readonly report: LonghandError;
  readonly wait: number | undefined;
  constructor(report: LonghandError, wait?: number) {
    super(report.message);
    this.report = report;
    this.wait = wait;
  }
}

/**
 * A `fetch` for one data set, to be called within `withRetries`. Refusals throw a LonghandError ("data" where the
 * request is at fault, "io" where the network is), except that for a file which does not exist.
 */
export function hubFetch(access: HubAccess, name: string): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init).catch((error) => {
      throw new PassingFailure(unreachable(access, error));
    });
    const { ok, status, headers } = response;
    if (ok || (status === 404 && headers.get("X-Error-Code") === "EntryNotFound")) return response;
    await response.body?.cancel();
    const wait = status === 429 ? retryAfter(response) : undefined;
    const report = refused(access, name, response, wait);
    const mayPass = (status === 429 || status >= 500) && (wait ?? 0) <= LONGEST_WAIT;
    throw mayPass ? new PassingFailure(report, wait) : report;
  };
}

/** Repeats work that failed in the network (not what the hub refused); throws "io" for answers not from a hub. */
export async function withRetries<T>(
  access: HubAccess,
  work: () => Promise<T>,
  { attempts, firstWait }: RetryPolicy = RETRIES,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof LonghandError) throw error;
      if (error instanceof SyntaxError || error instanceof InvalidApiResponseFormatError) {
        const problem = `${access.endpoint} does not answer like a hub; check HF_ENDPOINT`;
        throw new LonghandError("io", `hub: ${problem}`, { cause: error });
      }
      const passing = error instanceof PassingFailure ? error : new PassingFailure(unreachable(access, error));
      if (attempt >= attempts) throw passing.report;
      await sleep(passing.wait ?? firstWait * 2 ** (attempt - 1));
    }
  }
}

/** Milliseconds, from seconds or a date. */
function retryAfter(response: Response): number | undefined {
  const value = response.headers.get("Retry-After");
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function refused(
  { endpoint, token }: HubAccess,
  name: string,
  { status, headers, url }: Response,
  wait: number | undefined,
): LonghandError {
  const page = `${endpoint}/datasets/${name}`;
  const data = (problem: string) => new LonghandError("data", `hub: ${problem}`);
  if (status === 401) {
    return token === undefined
      ? data(`there is no public data set ${name} (401); check the name, or set HF_TOKEN to a token that may read it`)
      : data(`the token in HF_TOKEN was not accepted for ${name} (401); check both`);
  }
  if (status === 403) {
    return data(
      `access to ${name} is not granted (403); accept its terms at ${page}, and set HF_TOKEN to a token of that account`,
    );
  }
  if (status === 404) {
    return headers.get("X-Error-Code") === "RevisionNotFound"
      ? data(`${name} has no such revision (404); its branches and commits are at ${page}/commits`)
      : data(`${name} does not exist at ${endpoint} (404); check the name`);
  }
  if (status === 416) {
    return data(`a file of ${name} is shorter than its listing says (416); it has changed: run the same command again`);
  }
  const when = wait === undefined ? "later" : `in ${Math.ceil(wait / 60_000)} minutes`;
  const io = (problem: string) => new LonghandError("io", `hub: ${problem}; run the same command again ${when}`);
  return status === 429
    ? io(`${endpoint} allows no more requests for now (429)`)
    : io(`${new URL(url || endpoint).host} answers with status ${status}`);
}

function unreachable({ endpoint }: HubAccess, error: unknown): LonghandError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = (cause as NodeJS.ErrnoException)?.code ?? messageOf(cause);
  return new LonghandError(
    "io",
    `hub: the connection to ${endpoint} fails (${why}); check the network and HF_ENDPOINT, and run the same command again: it goes on where it stopped`,
    { cause: error },
  );
}
