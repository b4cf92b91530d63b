/**
 * Who may ask: whoever knows the token, from a page of this server or a program. A page elsewhere can point a name of
 * its own at this machine (DNS rebinding: the Host tells), and can make a browser send requests here (CSRF: Origin
 * and Sec-Fetch-Site tell; no answer has CORS headers, so it could not read any).
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { RequestError } from "../../service/failure.ts";
import { namesLoopback } from "../../service/loopback.ts";
import { bearerOf, sameSecret } from "../../service/secret.ts";

/** Every answer has these. The page runs scripts of its own files alone. */
export const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'", // style attributes, which components set
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self' data:", // icons of components
    "worker-src 'self'",
    "frame-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

/** Of a report, which the page may frame: it may show itself, and neither run nor load anything. */
export const REPORT_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": [
    "sandbox",
    "default-src 'none'",
    "style-src 'unsafe-inline'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
  ].join("; "),
  "x-frame-options": "SAMEORIGIN",
};

/**
 * Refuses requests for another host and from pages of another origin, which may link to the page itself. Throws 403.
 */
export function requireOwnOrigin({ headers }: FastifyRequest, isPage: boolean): void {
  const { host, origin, "sec-fetch-site": site } = headers;
  if (!namesLoopback(host)) throw new RequestError(403, "expected a Host of this machine, such as localhost");
  const own = origin === undefined || origin === `http://${host}`;
  const fetched = isPage || site === undefined || site === "same-origin" || site === "none";
  if (own && fetched) return;
  throw new RequestError(403, "a page of another origin has no access: open the address that longhand studio printed");
}

/** Cookies do not tell the ports of a host apart: the name does. */
const cookieName = ({ socket }: FastifyRequest) => `longhand-studio-${socket.localPort ?? 0}`;

/** Refuses requests without the token, as a cookie or as `Authorization: Bearer`. Throws 401. */
export function requireToken(request: FastifyRequest, token: string): void {
  const { authorization, cookie = "" } = request.headers;
  const name = cookieName(request);
  const cookies = cookie
    .split("; ")
    .flatMap((pair) => (pair.startsWith(`${name}=`) ? [pair.slice(name.length + 1)] : []));
  const given = [bearerOf(authorization), ...cookies];
  if (given.filter((secret) => sameSecret(secret, token)).length > 0) return;
  throw new RequestError(401, "open the address that longhand studio printed: it has the token that is missing here");
}

/** Where the address of a page has the token: a cookie with it. Whether it had. */
export function takeToken(request: FastifyRequest, reply: FastifyReply, token: string): boolean {
  const { token: given } = request.query as { readonly token?: unknown };
  if (typeof given !== "string" || !sameSecret(given, token)) return false;
  reply.header("set-cookie", `${cookieName(request)}=${token}; HttpOnly; SameSite=Strict; Path=/`);
  return true;
}
