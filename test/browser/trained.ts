/** Small trained models and their exports, for pages. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { WeightFormat } from "../../src/config/export-settings.ts";
import { exportModel } from "../../src/run/export/export.ts";
import { train } from "../../src/run/train/train.ts";

export const CONTEXT = 64;

export const lines = Array.from({ length: 600 }, (_, i) => `It was line ${i} of a dark night ${(i * 7919) % 1009}.\n`);

export interface Exports {
  /** Everything, by the names of models and formats: flash-float32. */
  readonly folder: string;
  /** The export of a model. */
  of(name: string, weights?: WeightFormat): string;
  remove(): void;
}

/** Trains each model for a few steps and exports it in these formats. */
export async function trainedExports(
  models: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  formats: readonly WeightFormat[] = ["float32"],
): Promise<Exports> {
  const folder = mkdtempSync(join(tmpdir(), "longhand-browser-"));
  const data = join(folder, "text.txt");
  writeFileSync(data, lines.join(""));
  const of = (name: string, weights: WeightFormat = "float32") => join(folder, `${name}-${weights}`);
  for (const [name, settings] of Object.entries(models)) {
    const small = { context: CONTEXT, batch: 2, vocab: 300, steps: 20, threads: 1 };
    const out = join(folder, name);
    await train({ ...small, ...settings, data, out } as Parameters<typeof train>[0], {
      overrides: { "model.layers": 2, "model.width": 40 },
    });
    for (const weights of formats) await exportModel(out, { out: of(name, weights), weights });
  }
  return { folder, of, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
