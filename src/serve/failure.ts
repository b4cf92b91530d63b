/** Failures of requests, in OpenAI's form: `{ error: { message, type, param, code } }` with a status. */
import { LonghandError } from "../base/errors.ts";
import type { Failure } from "./protocol.ts";

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

const TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  429: "rate_limit_error",
  499: "request_cancelled",
};

/** The body of an answer. */
export function errorBody({ status, message, param, code }: Failure) {
  const type = TYPES[status] ?? (status < 500 ? "invalid_request_error" : "server_error");
  return { error: { message, type, param, code } };
}
