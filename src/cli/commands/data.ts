/** longhand data inspect */
import type { Command } from "commander";
import { type InspectSettings, inspectSettingsSchema } from "../../config/prepare-settings.ts";
import { nameOf } from "../../data/data-spec.ts";
import { type Inspection, inspectShards, type LengthRange } from "../../run/data/inspect.ts";
import { byteCount, count } from "../amounts.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";
import { openProgress } from "../progress.ts";

type InspectFlags = InspectSettings & { readonly json?: boolean };

const BAR = 40;

export function define(data: Command, streams: Streams): void {
  const example = "\nExample:\n  longhand data inspect data/wiki";
  data
    .description("Looks at prepared text.")
    .addHelpText("after", `${example}\n\nlonghand data inspect --help has the options (--json among them).`);
  const inspect = data
    .command("inspect")
    .summary("counts, lengths, duplicates and samples of token shards")
    .description("Counts, lengths of documents, share of duplicates and a few documents of a folder of token shards.")
    .argument("<shards>", "folder written by prepare, or the data of a run")
    .addHelpText("after", example)
    .action((path: string, flags: InspectFlags) => runInspect(path, flags, streams));
  addFlags(inspect, inspectSettingsSchema);
  inspect.option("--json", "One JSON line a split on stdout.");
}

async function runInspect(path: string, { json, ...settings }: InspectFlags, streams: Streams): Promise<void> {
  const progress = openProgress("inspect");
  const onProgress = (done: number) => progress.update(Math.floor(done * 100), 100, "%");
  try {
    const inspections = await inspectShards(path, { ...settings, onProgress });
    progress.end();
    for (const inspection of inspections) {
      if (json) printJson(streams, inspection);
      else streams.out.write(inspectionText(inspection));
    }
  } finally {
    progress.end();
  }
}

function inspectionText(inspection: Inspection): string {
  const { path, origin, documents, tokens, bytes, words, vocabSize, duplicates, duplicateShare, samples } = inspection;
  const from =
    origin === undefined
      ? ""
      : `  from ${nameOf(origin.data)}${origin.split === undefined ? "" : `, ${origin.split}`}\n`;
  const shown = samples.map(({ document, tokens, text }) => {
    return `  document ${document}, ${count(tokens)} tokens: ${JSON.stringify(text)}\n`;
  });
  return (
    `${path}: ${count(documents)} documents, ${count(tokens)} tokens, ${count(words)} words, ${byteCount(bytes)} of text\n` +
    from +
    `  ${inspection.bytesPerToken.toFixed(2)} bytes a token, ${inspection.tokensPerWord.toFixed(2)} tokens a word, vocabulary ${count(vocabSize)}\n` +
    `  documents of ${count(inspection.shortest)} to ${count(inspection.longest)} tokens, half of them up to ${count(inspection.median)}\n` +
    histogramText(inspection.lengths) +
    `  ${(100 * duplicateShare).toFixed(2)} % of the documents (${count(duplicates)}) equal an earlier one\n` +
    shown.join("")
  );
}

function histogramText(lengths: readonly LengthRange[]): string {
  const most = Math.max(...lengths.map(({ documents }) => documents));
  const rows = lengths.map(({ from, to, documents }) => {
    const bar = "█".repeat(Math.round((BAR * documents) / most));
    return `  ${`${count(from)}–${count(to - 1)}`.padStart(21)} ${count(documents).padStart(12)} ${bar}`.trimEnd();
  });
  return `  ${"tokens".padStart(21)} ${"documents".padStart(12)}\n${rows.join("\n")}\n`;
}
