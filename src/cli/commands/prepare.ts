/** longhand prepare */
import { type Command, Option } from "commander";
import { type PrepareSettingsInput, prepareSettingsSchema } from "../../config/prepare-settings.ts";
import { nameOf } from "../../data/data-spec.ts";
import { estimatePreparation, type PrepareEstimate } from "../../run/data/estimate.ts";
import { type PrepareEvent, type PrepareResult, prepare } from "../../run/data/prepare.ts";
import { byteCount, count } from "../amounts.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";
import { duration, fetching, openProgress } from "../progress.ts";
import { stopSignal } from "../signals.ts";

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Turns text into token shards, once for many trainings: of files, or of a data set on the Hugging Face hub " +
        "(hub:wiki40b/en, hub:pg19, hub:c4/en, hub:owner/name[@revision][/path]). A corpus that is published in splits " +
        "gives the folders train and validation. train --data takes the result, and any of these as they are.",
    )
    .addHelpText(
      "after",
      "\nExamples:\n  longhand prepare --data hub:wiki40b/en --out data/wiki --vocab 30000 --limit 1GB\n" +
        "  longhand prepare --data 'dump/*.parquet' --field body --out data/dump --dry-run\n" +
        "\nHF_TOKEN, HF_ENDPOINT and HF_HOME (or HF_HUB_CACHE) are respected.",
    );
  addFlags(command, prepareSettingsSchema);
  command
    .addOption(new Option("--dry-run", "Estimate size and time, and write nothing."))
    .option("--json", "Events as JSON lines on stdout.")
    .action((options: Record<string, unknown>) => runPrepare(options, streams));
}

async function runPrepare(options: Record<string, unknown>, streams: Streams): Promise<void> {
  const { dryRun, json, ...given } = options;
  if (dryRun === true) {
    const estimate = await estimatePreparation({ out: ".", ...given } as PrepareSettingsInput);
    if (json === true) printJson(streams, estimate);
    else streams.out.write(estimateText(estimate));
    return;
  }
  const stop = stopSignal("stopping; once more to stop at once");
  const bar = reporter();
  const onEvent = (event: PrepareEvent) => {
    if (json === true) printJson(streams, event);
    bar.show(event);
  };
  try {
    const result = await prepare(given as PrepareSettingsInput, { onEvent, signal: stop.signal });
    bar.close();
    if (json === true) printJson(streams, { type: "end", ...result });
    else streams.out.write(resultText(result));
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    bar.close();
    process.stderr.write("stopped: run the same command again to go on; what is done is kept\n");
    process.exitCode = 130;
  } finally {
    bar.close();
    stop.release();
  }
}

function estimateText({ data, splits }: PrepareEstimate): string {
  const lines = splits.map(
    ({ split, files, storedBytes, textBytes, documents, tokens, shardBytes, seconds }) =>
      `${split}: ${count(files)} ${files === 1 ? "file" : "files"} of ${byteCount(storedBytes)}; about ${byteCount(textBytes)} of text in ` +
      `${count(documents)} documents, ${count(tokens)} tokens, ${byteCount(shardBytes)} of shards, ${duration(seconds)}\n`,
  );
  const fetched = nameOf(data).startsWith("hub:") ? "the files are fetched first, unless the cache has them\n" : "";
  return `${nameOf(data)}\n${lines.join("")}${fetched}`;
}

function resultText({ splits, vocabSize }: PrepareResult): string {
  return splits
    .map(
      ({ out, documents, tokens, bytes, words }) =>
        `${out}: ${count(documents)} documents, ${count(tokens)} tokens of a vocabulary of ${vocabSize}, ${count(words)} words, ${byteCount(bytes)}\n`,
    )
    .join("");
}

/** Tells events to a person, on stderr. */
function reporter() {
  const progress = openProgress("prepare");
  const fetched = fetching(progress);
  let began = 0;
  let split = "";
  let start = { bytes: 0, done: 0 }; // what was there before
  progress.note("reading, and training the tokenizer unless one is given");
  return {
    show(event: PrepareEvent) {
      switch (event.type) {
        case "download":
          fetched(event);
          break;
        case "tokenizer":
        case "split":
          progress.end();
          began = performance.now();
          start = { bytes: 0, done: 0 };
          break;
        case "resumed":
          start = { bytes: event.bytes, done: Number.NaN };
          progress.note(`going on after ${count(event.documents)} documents of ${event.split}`);
          break;
        case "tokens": {
          if (event.split !== split) progress.note(`turning ${event.split} into tokens`);
          split = event.split;
          if (Number.isNaN(start.done)) start = { ...start, done: event.done };
          const seconds = (performance.now() - began) / 1000;
          const rate = `${byteCount((event.bytes - start.bytes) / seconds)}/s`;
          const share = (event.done - start.done) / Math.max(1 - start.done, 1e-9);
          const left = duration((seconds / Math.max(share, 1e-6)) * (1 - share));
          progress.update(Math.floor(event.done * 100), 100, `% ${count(event.tokens)} tokens ${rate} ${left} left`);
          break;
        }
        case "warning":
          progress.note(`warning: ${event.message}`);
      }
    },
    close: () => progress.end(),
  };
}
