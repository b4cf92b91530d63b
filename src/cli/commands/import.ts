/** longhand import */
import type { Command } from "commander";
import { type ImportSettings, importSettingsSchema } from "../../config/import-settings.ts";
import { parameterCount } from "../../models/language-model.ts";
import { type ImportResult, importModel } from "../../run/import/import.ts";
import { count } from "../amounts.ts";
import { addFlags, collectAssignment } from "../options.ts";
import { printJson, type Streams } from "../output.ts";

type ImportFlags = ImportSettings & { readonly json?: boolean; readonly set?: Record<string, unknown> };

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Takes over a model that lucidrains/FLASH-pytorch has trained: the state dict of a FLASHTransformer, saved as safetensors. " +
        "Writes an export with equal logits, which generate, eval, fill and train --from take like one of ours.",
    )
    .argument("<file>", "the state dict, as safetensors")
    .addHelpText(
      "after",
      "\nExample:\n  longhand import enwik8.safetensors --set causal=True --set laplace_attn_fn=True --tokenizer bytes --out enwik8",
    )
    .action((file: string, flags: ImportFlags) => runImport(file, flags, streams));
  addFlags(command, importSettingsSchema);
  command
    .option(
      "--set <option=value>",
      "An option that the library was given, such as causal=True; may be repeated. Default: the metadata of the file, then the library's default.",
      collectAssignment,
    )
    .option("--json", "The result as one JSON line on stdout.");
}

async function runImport(file: string, flags: ImportFlags, streams: Streams): Promise<void> {
  const { json, set, ...settings } = flags;
  const result = await importModel(file, { ...settings, options: set });
  if (json) printJson(streams, result);
  else streams.out.write(textOf(result));
}

function textOf({ out, config: { model, training } }: ImportResult): string {
  const { causal, layers, width, vocabSize, chunk } = model;
  return (
    `${out}: FLASH, ${causal ? "causal" : "bidirectional"}, ${layers} layers of width ${width}, groups of ${chunk}, ` +
    `${count(vocabSize)} tokens, ${count(parameterCount(model))} parameters, context ${count(training.context)}\n`
  );
}
