/** Secrets that a client must know. */
import { createHash, timingSafeEqual } from "node:crypto";

const digest = (text: string) => createHash("sha256").update(text).digest();

/** Compares digests, so that neither the time nor the length tells anything of the secret. */
export function sameSecret(given: string, secret: string): boolean {
  return timingSafeEqual(digest(given), digest(secret));
}

/** What a request has as `Authorization: Bearer …`; "" where it has none. */
export function bearerOf(authorization = ""): string {
  return /^Bearer (.+)$/i.exec(authorization)?.[1] ?? "";
}
