/**
 * Where an ONNX model says that the data of its tensors lie: in files beside it (external data). Models come from anywhere: a
 * place outside of their folder is refused before anything is opened.
 */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import type { Proto } from "../../onnx/schema.ts";

export interface ExternalPlace {
  readonly tensor: string;
  /** Relative to the folder of the model. */
  readonly file: string;
  /** In bytes. */
  readonly offset: number;
  /** In bytes; null: to the end of the file. */
  readonly length: number | null;
}

/** Of a graph and of the graphs in its operators. Throws "checkpoint" for a place outside of the model's folder, or none. */
export function externalPlaces(graph: Proto<"GraphProto">, path: string): ExternalPlace[] {
  const places: ExternalPlace[] = [];
  const graphs = [graph];
  for (let next = graphs.pop(); next !== undefined; next = graphs.pop()) {
    for (const tensor of next.initializer ?? []) {
      if ((tensor.external_data ?? []).length > 0) places.push(placeOf(tensor, path));
    }
    for (const { attribute = [] } of next.node ?? []) graphs.push(...attribute.flatMap(({ g }) => (g ? [g] : [])));
  }
  return places;
}

function placeOf({ name = "", external_data = [] }: Proto<"TensorProto">, path: string): ExternalPlace {
  const said = new Map(external_data.map(({ key, value }) => [key, value]));
  const refuse = (expected: string, got: string | undefined) =>
    new LonghandError("checkpoint", `${path}: external data of ${name}: expected ${expected}, got ${got ?? "none"}`);
  const file = said.get("location");
  if (file === undefined || !isInside(file)) throw refuse("a relative path in the folder of the model", file);
  const bytesOf = (key: string) => {
    const text = said.get(key);
    if (text === undefined) return null;
    const bytes = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(bytes)) return bytes;
    throw refuse(`a number of bytes as ${key}`, text);
  };
  return { tensor: name, file, offset: bytesOf("offset") ?? 0, length: bytesOf("length") };
}

/** Whether a path, as any system reads it, names a file below the folder that it is relative to. */
function isInside(file: string): boolean {
  const steps = file.split(/[/\\]/);
  return file !== "" && !/^[/\\]|^[a-z]:|\0/i.test(file) && !steps.includes("..") && steps[steps.length - 1] !== "";
}

/** What is wrong with the files of these places, a sentence each. */
export async function externalProblems(places: readonly ExternalPlace[], path: string): Promise<string[]> {
  const ends = new Map<string, number>();
  for (const { file, offset, length } of places) ends.set(file, Math.max(ends.get(file) ?? 0, offset + (length ?? 0)));
  const problems: string[] = [];
  for (const [file, end] of ends) {
    const found = await stat(join(dirname(path), file)).catch(() => undefined);
    if (found === undefined || !found.isFile()) problems.push(`${path}: external data: there is no file ${file}`);
    else if (found.size < end)
      problems.push(`${path}: external data: ${file} has ${found.size} bytes, and ${end} are needed`);
  }
  return problems;
}
