/** The text of a comparison: tokenized into its folder once, opened and checked against what the plan needs. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { LonghandError } from "longhand";
import { type ComparisonData, defaultTexts, openComparisonData, prepareComparisonData } from "./data.ts";
import type { Manifest } from "./manifest.ts";
import type { ReproduceSettings } from "./settings.ts";

/** Held-out texts are cut to whole windows of the longest context that is trained. */
export const windowOf = ({ qualityContexts, qualityTokens }: ReproduceSettings) =>
  Math.max(qualityTokens, ...(qualityContexts ?? []));

/** Throws "data" when the text is too short for the contexts of the plan. */
export async function openText(
  folder: string,
  { settings, plan }: Manifest,
  note: (message: string) => void,
): Promise<ComparisonData> {
  const prepared = join(folder, "data");
  if (!existsSync(prepared)) {
    const texts = settings.data ?? (await defaultTexts(folder));
    await prepareComparisonData(prepared, { texts, vocab: settings.vocab, seed: settings.seed }, note);
  }
  const { evalFraction, evalTokens } = settings;
  const data = await openComparisonData(prepared, { evalFraction, evalTokens, window: windowOf(settings) });
  const longest = Math.max(...plan.jobs.map(({ job }) => (job.kind === "train" ? job.context : 0)));
  if (data.train.tokens <= longest || data.curve.tokens < 2) {
    data.close();
    await rm(prepared, { recursive: true, force: true });
    throw new LonghandError(
      "data",
      `data: the text gives ${data.train.tokens} tokens to learn and ${data.curve.tokens} to evaluate on, and a context of ${longest} needs more; give more text or smaller --quality-contexts`,
    );
  }
  return data;
}
