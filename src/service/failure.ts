/** Failures of requests, with the status that a client gets. */
import { LonghandError } from "../base/errors.ts";
import type { Failure } from "./jobs.ts";

export class RequestError extends Error implements Failure {
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;

  constructor(status: number, message: string, { code = null, param = null }: Partial<Failure> = {}) {
    super(message);
    this.name = "RequestError";
    this.status = status;
    this.code = code;
    this.param = param;
  }
}

/** What a client is told of anything thrown. The details of what is not the client's doing stay in the log. */
export function failureOf(error: unknown): Failure {
  if (error instanceof RequestError) {
    const { status, code, param, message } = error;
    return { status, code, param, message };
  }
  if (error instanceof LonghandError && (error.code === "usage" || error.code === "data"))
    return { status: 400, code: null, param: /^`(\w+)`/.exec(error.message)?.[1] ?? null, message: error.message };
  if (error instanceof LonghandError && error.code === "diverged")
    return { status: 500, code: "diverged", param: null, message: error.message };
  return { status: 500, code: "internal_error", param: null, message: "the server failed; its log says why" };
}
