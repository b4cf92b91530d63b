/** longhand reproduce */
import { type Command, Option } from "commander";
import {
  groupsOf,
  PLANNED_SHARE,
  type Plan,
  type ReproduceEvent,
  type ReproduceOutcome,
  type ReproduceSettingsInput,
  rebuildReport,
  reproduce,
  reproduceSettingsSchema,
} from "longhand/reproduce";
import { LonghandError } from "../../base/errors.ts";
import { flagOf } from "../../config/flags.ts";
import { addFlags } from "../options.ts";
import { printJson, type Streams } from "../output.ts";
import { duration, openProgress } from "../progress.ts";
import { stopSignal } from "../signals.ts";

export function define(command: Command, streams: Streams): void {
  command
    .description(
      "Measures speed, quality, ablations, the use of context and recall over a distance of all architectures beside " +
        "each other, and writes a report with plots, tables, CSV and JSON. Prints its plan first; a folder that was " +
        "interrupted is gone on with.",
    )
    .addHelpText(
      "after",
      "\nExamples:\n  longhand reproduce --budget 10\n  longhand reproduce --data book.txt,wiki/ --out runs/compare --budget 90 --preset tiny\n  longhand reproduce --data book.txt --only speed --models flash,transformer++ --plan\n  longhand reproduce --report runs/compare",
    );
  addFlags(command, reproduceSettingsSchema);
  command
    .addOption(new Option("--plan", "Print what would run and how long it takes, and end."))
    .addOption(new Option("--report <folder>", "Write the report of a folder again, without measuring."))
    .addOption(new Option("--mixed", "Go on although machine or versions differ from the results so far."))
    .addOption(new Option("--overwrite", "Replace an existing comparison."))
    .option("--json", "Events as JSON lines on stdout.")
    .action((options: Record<string, unknown>) => run(options, streams));
}

async function run({ report, json, ...flags }: Record<string, unknown>, streams: Streams): Promise<void> {
  const { plan, mixed, overwrite, ...settings } = flags;
  const person = reporter(plan === true && json !== true ? streams.out : streams.err);
  const onEvent = (event: ReproduceEvent) => {
    if (json === true) printJson(streams, eventForPrograms(event));
    person.show(event);
  };
  if (report !== undefined) {
    const [other] = Object.keys(flags);
    if (other !== undefined) {
      throw new LonghandError("usage", `${flagOf(other)} cannot be combined with --report, which measures nothing`);
    }
    const outcome = await rebuildReport(String(report), { onEvent });
    if (json === true) printJson(streams, { type: "end", ...outcome });
    return;
  }
  const stop = stopSignal("stopping after this step and saving; once more to stop at once");
  try {
    const outcome = await reproduce(settings as ReproduceSettingsInput, {
      onEvent,
      signal: stop.signal,
      planOnly: plan === true,
      mixed: mixed === true,
      overwrite: overwrite === true,
    });
    person.end(outcome, plan === true);
    if (json === true) printJson(streams, { type: "end", ...outcome });
  } finally {
    person.close();
    stop.release();
  }
}

/** The plan with its groups, which programs want too. */
function eventForPrograms(event: ReproduceEvent): object {
  return event.type === "plan" ? { ...event, groups: groupsOf(event.plan) } : event;
}

/** Tells events to a person; the plan goes to `plans`. */
function reporter(plans: NodeJS.WritableStream) {
  const progress = openProgress("reproduce");
  return {
    show(event: ReproduceEvent) {
      switch (event.type) {
        case "note":
          progress.note(event.message);
          break;
        case "warning":
          progress.note(`warning: ${event.message}`);
          break;
        case "plan":
          plans.write(planText(event.plan, event));
          break;
        case "progress": {
          const place = `job ${event.index} of ${event.jobs}, ${duration(event.secondsLeft)} left`;
          progress.update(Math.round(100 * event.done), 100, `${place}; ${event.text}`);
          break;
        }
        case "result":
          progress.note(`${event.job}: measured in ${duration(event.seconds)}`);
          break;
        case "report":
          progress.note(`report: ${event.path}`);
          break;
      }
    },
    end({ folder, finished, done, jobs }: ReproduceOutcome, planOnly: boolean) {
      progress.end();
      if (planOnly || finished) return;
      if (jobs === 0) progress.note("stopped before anything was measured; nothing is kept");
      else
        progress.note(`stopped with ${done} of ${jobs} jobs measured: go on with  longhand reproduce --out ${folder}`);
    },
    close: () => progress.end(),
  };
}

function planText(
  plan: Plan,
  { folder, budget, preset, done }: { folder: string; budget: number; preset: string; done: number },
): string {
  const groups = groupsOf(plan).map(({ name, jobs, seconds }) => [
    name,
    `${jobs} job${jobs === 1 ? "" : "s"}`,
    duration(seconds),
  ]);
  const rows = [
    ["calibration and tokens", "", duration(plan.prepareSeconds)],
    ...groups,
    ["all", "", duration(plan.seconds)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, jobs, time]) => `  ${name.padEnd(width)}  ${jobs.padStart(8)}  ${time.padStart(8)}`);
  const missing = plan.leftOut.map(({ what, why }) => `  left out: ${what} (${why})`);
  const share = Math.round(100 * PLANNED_SHARE);
  const head = `plan for ${folder}: preset ${preset}, ${budget} minutes, of which ${share} % are planned`;
  const state = done > 0 ? [`${done} of ${plan.jobs.length} jobs are measured already`] : [];
  return `${[head, ...state, ...lines, ...missing].join("\n")}\n`;
}
