/** A failure in OpenAI's form: `{ error: { message, type, param, code } }`. */
import type { Failure } from "../service/jobs.ts";

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
