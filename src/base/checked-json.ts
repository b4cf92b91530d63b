/**
 * JSON files that say what they are: `format` and `version` come first, a checksum of everything before it last. So
 * damage is noticed, and a file of another kind or version is refused instead of being misread.
 */
import { messageOf } from "./errors.ts";

export interface JsonKind {
  readonly format?: string;
  /** What a file of this format is, for messages: "the index of a folder of token shards". */
  readonly what: string;
  /** The version that is written, and the only one that is read. */
  readonly version: number;
  /** The field of the checksum, and SHA-256 in hexadecimal: hashing differs between Node and the browser. */
  readonly checksum: { readonly field: string; readonly digest: (text: string) => string };
}

/** Throws an error about `problem`, a sentence whose subject "it" is the file. */
export type Refuse = (problem: string, cause?: unknown) => never;

export function encodeCheckedJson({ format, version, checksum }: JsonKind, fields: object): string {
  const content = { ...(format !== undefined && { format }), version, ...fields };
  const digest = checksum.digest(JSON.stringify(content));
  return `${JSON.stringify({ ...content, [checksum.field]: digest }, null, 2)}\n`;
}

/** The fields of such a file, without format, version and checksum. */
export function decodeCheckedJson(text: string, kind: JsonKind, refuse: Refuse): Record<string, unknown> {
  const { [kind.checksum.field]: digest, ...content } = parseJsonObject(text, refuse);
  const { format, version, ...fields } = content;
  if (format !== kind.format) refuse(`it is not ${kind.what}`);
  requireVersion(version, kind.version, refuse);
  if (digest !== kind.checksum.digest(JSON.stringify(content))) {
    refuse("it does not match its own checksum, so it was damaged or edited");
  }
  return fields;
}

export function requireVersion(version: unknown, expected: number, refuse: Refuse): void {
  if (version === expected) return;
  refuse(`it has version ${JSON.stringify(version)}, and this version of Longhand reads ${expected}`);
}

export function parseJsonObject(text: string, refuse: Refuse): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = messageOf(error).replace(/[\s\p{Cc}]+/gu, " "); // it quotes the text, line ends and all
    refuse(`it is not valid JSON (${reason})`, error);
  }
  return isRecord(value) ? value : refuse("it must hold a JSON object");
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is a whole number of 0 or more that doubles hold exactly. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}
