/** longhand score */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "commander";
import type { z } from "zod";
import { LonghandError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import { parseSettings } from "../../config/fields.ts";
import {
  type LoadSettings,
  loadSettingsSchema,
  type ScoreSettings,
  scoreSettingsSchema,
  scoreShownSchema,
} from "../../config/use-settings.ts";
import { measured } from "../../run/score/ranking.ts";
import { score } from "../../run/score/score.ts";
import { type LoadedModel, loadModel } from "../../run/use/model.ts";
import type { ScoreRecord } from "../../use/score/records.ts";
import { addFlags } from "../options.ts";
import type { Streams } from "../output.ts";
import { fetching, openProgress } from "../progress.ts";
import { ScorePage } from "../score-page.ts";
import { lineText, ScoreTable } from "../score-table.ts";
import { stopSignal } from "../signals.ts";

type Shown = z.output<typeof scoreShownSchema>;
type ScoreFlags = ScoreSettings & z.input<typeof scoreShownSchema> & LoadSettings & { readonly json?: boolean };

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "How surprising text is to a model, in bits, by token, line and document: ranks documents and shows the most surprising lines. Constant memory, whatever the length of the text.",
    )
    .argument("<model>", "run folder")
    .argument("<file...>", "what to score: files, patterns, folders; - reads stdin as it comes")
    .addHelpText(
      "after",
      "\nExamples:\n  longhand score runs/log today.log --top 50\n  tail -f app.log | longhand score runs/log - --threshold 40\n  longhand score runs/book chapter.txt --html chapter.html",
    )
    .action((model: string, files: readonly string[], flags: ScoreFlags) => runScore(model, files, flags, streams));
  addFlags(command, scoreSettingsSchema, scoreShownSchema, loadSettingsSchema);
  command.option(
    "--json",
    "JSON lines on stdout: a record of every line and document, or of what `threshold` lets through.",
  );
}

async function runScore(
  path: string,
  files: readonly string[],
  { json = false, threads, device, adapter, ...given }: ScoreFlags,
  streams: Streams,
): Promise<void> {
  const { by, threshold, top, against, html, ...settings } = given;
  const shown = parseSettings(scoreShownSchema, { by, threshold, top, against, html });
  if (shown.html !== undefined && !existsSync(dirname(shown.html)))
    throw new LonghandError(
      "usage",
      `\`html\` ${shown.html}: there is no folder ${dirname(shown.html)}; make it first`,
    );
  const progress = openProgress("score");
  const onWarning = (message: string) => progress.note(`warning: ${message}`);
  const models: LoadedModel[] = [];
  const stopping = stopSignal("stopping");
  try {
    models.push(await loadModel(path, { threads, device, adapter, onWarning }));
    if (shown.against !== undefined) models.push(await loadModel(shown.against, { threads, device, onWarning }));
    const [model, other] = models;
    const page = shown.html === undefined ? undefined : new ScorePage({ compared: other !== undefined });
    const records = score(model, {
      ...settings,
      tokens: settings.tokens || page !== undefined,
      ...{ data: files, against: other, signal: stopping.signal, onWarning, onDownload: fetching(progress) },
    });
    await print(noted(records, page), shown, { json, tokens: settings.tokens ?? false }, streams);
    if (page && shown.html) await writeFileAtomic(shown.html, page.html(path));
  } finally {
    progress.end();
    stopping.release();
    for (const model of models) await model.close();
  }
}

async function* noted(records: AsyncIterable<ScoreRecord>, page: ScorePage | undefined): AsyncGenerator<ScoreRecord> {
  for await (const record of records) {
    page?.add(record);
    yield record;
  }
}

async function print(
  records: AsyncIterable<ScoreRecord>,
  { by, threshold, top, against }: Shown,
  { json, tokens }: { readonly json: boolean; readonly tokens: boolean },
  streams: Streams,
): Promise<void> {
  const table = new ScoreTable({ by, top, compared: against !== undefined });
  for await (const record of records) {
    if (record.type === "token" && !tokens) continue;
    const through = threshold === undefined || record.type !== "line" || measured(record, by) >= threshold;
    if (json && through) await write(streams, `${JSON.stringify(record)}\n`);
    if (json) continue;
    if (threshold === undefined) table.add(record);
    else if (through && record.type === "line") await write(streams, lineText(record, by));
  }
  if (!json && threshold === undefined) await write(streams, table.text());
}

/** Waits while the reader of the output is behind. */
async function write({ out }: Streams, text: string): Promise<void> {
  if (!out.write(text)) await once(out, "drain");
}
