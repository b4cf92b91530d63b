/** Addresses that cannot be had, as one sentence. */
import { LonghandError } from "../base/errors.ts";
import { writeError } from "../base/files.node.ts";

/** Why a server cannot listen there: "usage" with what to do, or "io". */
export function listenError(error: unknown, { host, port }: { host: string; port: number }): unknown {
  const { code } = error as { code?: string };
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: "another program listens there; choose another `port`",
    EACCES: "no permission to listen there; choose a `port` of 1024 or more",
    EADDRNOTAVAIL: "this machine has no such address; choose another `host`",
    ENOTFOUND: "there is no such name; choose another `host`",
  };
  const reason = code === undefined ? undefined : reasons[code];
  if (reason === undefined) return writeError(error, `${host}:${port}`);
  return new LonghandError("usage", `${host}:${port}: ${reason}`, { cause: error });
}
