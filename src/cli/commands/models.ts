/** longhand models */
import type { Command } from "commander";
import { parseSettings } from "../../config/fields.ts";
import { modelsSettingsSchema } from "../../config/use-settings.ts";
import { ablationNames, ablations } from "../../models/ablations.ts";
import { type ArchitectureDescription, describeArchitectures } from "../../models/catalogue.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Every architecture at one size: parameters, and what a token of training costs (forward and backward pass) in " +
        "contexts of these lengths. One MFLOP is a million operations; only matrix products count.",
    )
    .addHelpText("after", "\nExample:\n  longhand models --preset tiny --context 1024 16384")
    .addHelpText("after", `\nAblations of flash and flash-quad, for longhand train --ablation:\n${ablationList()}`)
    .action((flags: Record<string, unknown>) => showModels(flags, streams));
  addFlags(command, modelsSettingsSchema);
  command.option("--json", "One JSON line an architecture on stdout.");
}

function ablationList(): string {
  return ablationNames.map((name) => `  ${name.padEnd(17)}${ablations[name].description}`).join("\n");
}

function showModels({ json, ...flags }: Record<string, unknown>, streams: Streams): void {
  const { preset, context: contexts, vocab } = parseSettings(modelsSettingsSchema, flags);
  const described = describeArchitectures(preset, vocab);
  if (json === true) {
    for (const each of described) printJson(streams, asJson(each, { preset, vocab, contexts }));
    return;
  }
  streams.out.write(`preset ${preset}, vocabulary ${vocab}; training cost in MFLOP a token, by context\n`);
  const header = ["architecture", "parameters", ...contexts.map(String)];
  const rows = described.map(({ architecture, parameters, flopsPerToken }) => [
    architecture,
    `${(parameters / 1e6).toFixed(2)} M`,
    ...contexts.map((n) => (flopsPerToken(n) / 1e6).toFixed(1)),
  ]);
  for (const [name, ...numbers] of [header, ...rows]) {
    streams.out.write(`  ${name.padEnd(14)}${numbers.map((text) => text.padStart(12)).join("")}\n`);
  }
}

function asJson(
  { architecture, parameters, flopsPerToken }: ArchitectureDescription,
  { preset, vocab, contexts }: { preset: string; vocab: number; contexts: readonly number[] },
) {
  const cost = contexts.map((n) => ({ context: n, megaflopsPerToken: flopsPerToken(n) / 1e6 }));
  return { architecture, preset, vocabSize: vocab, parameters, cost };
}
