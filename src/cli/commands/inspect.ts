/** longhand inspect */
import type { Command } from "commander";
import type { ExternalPlace } from "../../run/inspect/external-data.ts";
import { type Inspected, inspectPath } from "../../run/inspect/inspect.ts";
import { byteCount, count } from "../amounts.ts";
import { printJson, type Streams } from "../output.ts";

const NAMES: Readonly<Record<Inspected["kind"], string>> = {
  run: "a run",
  export: "an export",
  adapter: "an adapter",
  shards: "token shards",
  tokenizer: "a tokenizer",
  safetensors: "a safetensors file",
  onnx: "an ONNX model",
};

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Says what a folder or file is, how large, and whether its checksums hold: a run, an export, an adapter, token shards, a " +
        "tokenizer.json, a safetensors or an ONNX file. The exit status is 1 where something is damaged.",
    )
    .argument("<path>", "folder or file")
    .addHelpText("after", "\nExample:\n  longhand inspect runs/book")
    .option("--json", "The result as one JSON line on stdout.")
    .action((path: string, { json }: { readonly json?: boolean }) => runInspect(path, json, streams));
}

async function runInspect(path: string, json: boolean | undefined, streams: Streams): Promise<void> {
  const inspected = await inspectPath(path);
  if (json) printJson(streams, inspected);
  else streams.out.write(textOf(inspected));
  if (inspected.problems.length > 0) process.exitCode = 1;
}

function textOf({ kind, path, facts, problems }: Inspected): string {
  const lines = problems.map((problem) => `  damaged: ${problem}\n`);
  const text = `${path}: ${NAMES[kind]}\n${listed(facts, "  ")}${lines.join("")}`;
  return text.replace(/[^\P{Cc}\n]/gu, "?"); // a file from anywhere says nothing to the terminal
}

function listed(facts: Inspected["facts"], indent: string): string {
  const rows = Object.entries(facts).map(([name, value]) => {
    const isGroup = typeof value === "object" && value !== null && !Array.isArray(value);
    if (name === "externalData")
      return `${indent}${spoken(name)}\n${places(value as readonly ExternalPlace[], indent)}`;
    if (isGroup) return `${indent}${spoken(name)}\n${listed(value as Inspected["facts"], `${indent}  `)}`;
    return `${`${indent}${spoken(name)}`.padEnd(26)} ${shown(name, value)}\n`;
  });
  return rows.join("");
}

/** A tensor of an ONNX model a line: the file that has its bytes, from which, and how many. */
function places(external: readonly ExternalPlace[], indent: string): string {
  const rows = external.map(({ tensor, file, offset, length }) => {
    const bytes = length === null ? "all bytes" : `${count(length)} bytes`;
    return `${`${indent}  ${tensor}`.padEnd(40)} ${file}, from ${count(offset)}, ${bytes}\n`;
  });
  return rows.join("");
}

/** vocabSize -> vocab size; names of files stay as they are. */
const spoken = (name: string) =>
  name.includes(".") ? name : name.replace(/[a-z][A-Z]/g, ([a, b]) => `${a} ${b.toLowerCase()}`);

function shown(name: string, value: unknown): string {
  if (Array.isArray(value)) return value.map((item) => String(item)).join(", ");
  if (typeof value !== "number") return String(value);
  return /bytes$/i.test(name) || name.includes(".") ? byteCount(value) : count(value);
}
