/** JSON lines: one object a line, one of its fields the text of a document. Read line by line, so any size will do. */
import { isUtf8 } from "node:buffer";
import { LonghandError } from "../../base/errors.ts";
import { textOfRecord } from "./record-text.ts";
import { type Reading, UnusableRecords } from "./records.ts";
import { markBytes } from "./utf8.ts";

const LINE_FEED = 0x0a;
/** A line is one document, and a document is held in memory as a string. */
const LONGEST_LINE = 256 * 1024 * 1024;

/**
 * The text of each line (record-text.ts). Up to 1 % of lines may be something else than a JSON object with such text, and are
 * left out; a field that the first object lacks is an error that lists those it has.
 */
export async function* jsonDocuments(
  chunks: AsyncIterable<Buffer>,
  path: string,
  { field, onWarning }: Reading,
): AsyncGenerator<{ text: string; read: number }> {
  const unusable = new UnusableRecords(path, "line");
  const { textOf, requireFields } = textOfRecord(field);
  let number = 0;
  let seen = false; // an object with the field
  for await (const line of linesOf(chunks, path)) {
    number++;
    const bytes = number === 1 ? line.subarray(markBytes(line)) : line;
    if (isBlank(bytes)) continue;
    const value = parse(bytes);
    if ("problem" in value) {
      unusable.bad(number, value.problem);
      continue;
    }
    if (!seen) requireFields(value.object, `${path}, line ${number},`);
    const own = textOf(value.object);
    if ("problem" in own) unusable.bad(number, own.problem);
    else {
      seen = true;
      unusable.good();
      yield { text: own.text, read: 0 };
    }
  }
  unusable.end(onWarning);
}

function parse(bytes: Buffer): { object: Record<string, unknown> } | { problem: string } {
  if (!isUtf8(bytes)) return { problem: "is not UTF-8" };
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch {
    return { problem: "is not JSON" };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { problem: "is not a JSON object" };
  return { object: value as Record<string, unknown> };
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

/** Lines without their line feeds; a line may span any number of buffers. */
async function* linesOf(chunks: AsyncIterable<Buffer>, path: string): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let held = 0;
  let number = 1;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      const rest = chunk.subarray(start, end);
      yield held === 0 ? rest : Buffer.concat([...parts, rest]);
      parts = [];
      held = 0;
      number++;
      start = end + 1;
    }
    if (start === chunk.length) continue;
    parts.push(chunk.subarray(start));
    held += chunk.length - start;
    if (held > LONGEST_LINE) {
      throw new LonghandError(
        "data",
        `data: ${path}, line ${number}, is longer than 256 MiB, so this is not a file of JSON lines`,
      );
    }
  }
  if (held > 0) yield Buffer.concat(parts);
}
