/** longhand doctor */
import type { Command } from "commander";
import { withFlags } from "../../config/flags.ts";
import { printJson, type Streams } from "../output.ts";

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Checks Node, processors, memory, huge pages, graphics cards and MPI, and says what to do about each problem.",
    )
    .option("--json", "One JSON line a finding on stdout.")
    .addHelpText("after", "\nExample:\n  longhand doctor")
    .action(async (options: { json?: boolean }) => {
      const { diagnose } = await import("../../run/machine/doctor.ts"); // with the runtime, which help does without
      for (const finding of await diagnose()) {
        if (options.json) printJson(streams, finding);
        else {
          const mark = finding.advice ? "!" : finding.missing ? "–" : "✓";
          streams.out.write(`${mark} ${finding.name.padEnd(12)}${finding.value}\n`);
          if (finding.advice) streams.out.write(`  → ${withFlags(finding.advice)}\n`);
        }
      }
    });
}
