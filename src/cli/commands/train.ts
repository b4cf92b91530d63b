/** longhand train */
import { type Command, Option } from "commander";
import { LonghandError } from "../../base/errors.ts";
import { given } from "../../config/corpora.ts";
import { parseSettings } from "../../config/fields.ts";
import { flagOf } from "../../config/flags.ts";
import { isFieldOfModel, OF_MODEL } from "../../config/from-model.ts";
import { processesGroups, processesSettingsSchema } from "../../config/processes-settings.ts";
import type { RunConfig } from "../../config/run-config.ts";
import { commonTrainFields, trainGroups } from "../../config/train-groups.ts";
import {
  type ResumeSettings,
  resumeSettingsSchema,
  type TrainSettingsInput,
  trainSettingsSchema,
} from "../../config/train-settings.ts";
import { windowsPerLane } from "../../data/lanes.ts";
import { launchOf } from "../../mpi/launcher.ts";
import { resume } from "../../run/train/resume.ts";
import type { RunEvent, TrainOptions, TrainResult } from "../../run/train/run-loop.ts";
import { train } from "../../run/train/train.ts";
import type { PartLoss } from "../../train/evaluate.ts";
import type { RateTrial } from "../../train/rate-search.ts";
import { curve } from "../curve.ts";
import { moreOptions } from "../help.ts";
import { INTERRUPTED, inJob, STOPPED_EARLY } from "../job.ts";
import { addFlagsInGroups, collectAssignment, readSettingsFile } from "../options.ts";
import { printJson, type Streams } from "../output.ts";
import { duration, fetching, openProgress } from "../progress.ts";
import { stopSignal } from "../signals.ts";

export function define(command: Command, streams: Streams): void {
  command.description("Trains a language model on a text and writes a run folder.").addHelpText(
    "after",
    () =>
      `\nExamples:
  longhand train --data book.txt --sample "It was"
  longhand train --data book.txt --preset tiny --context 4096 --batch 1
  longhand train --mix data/wiki=3 data/pg19=1
  longhand train --from runs/book --data letters.txt --mix book.txt=0.2
  longhand train --resume runs/book
  mpirun -n 4 longhand train --data book.txt --batch 8${moreOptions(command)}`,
  );
  addFlagsInGroups(command, trainSettingsSchema, { groups: trainGroups, common: commonTrainFields });
  addFlagsInGroups(command, processesSettingsSchema, { groups: processesGroups, common: [] });
  command
    .addOption(
      new Option(
        "--resume <folder>",
        "Go on with a run exactly where it stopped (with --steps: further; with --cooldown: to a good end in so many steps; with --out: in a copy; with --recompute: in other memory).",
      ),
    )
    .addOption(new Option("--config <file>", "JSON file with any of these flags; flags given here win."))
    .addOption(
      new Option("--set <key=value>", "Set any field of the configuration; may be repeated.").argParser(
        collectAssignment,
      ),
    )
    .option("--json", "Events as JSON lines on stdout.")
    .action((options: Record<string, unknown>) => runTrain(options, streams));
}

async function runTrain(options: Record<string, unknown>, streams: Streams): Promise<void> {
  const launch = launchOf(process.env);
  const { shard, compareEvery, waitLimit, ...own } = options;
  const processes = parseSettings(processesSettingsSchema, given({ shard, compareEvery, waitLimit }));
  const stopping = "stopping after this step and saving; once more to stop at once";
  const stop = stopSignal(launch === undefined || launch.rank === 0 ? stopping : undefined);
  try {
    await inJob(launch, { limitMs: 1000 * processes.waitLimit, streams }, async (communicator) => {
      const how = { signal: stop.signal, communicator, shard: processes.shard, compareEvery: processes.compareEvery };
      if (communicator === undefined || communicator.rank === 0) await trainAndTell(own, how, streams);
      else await trainQuietly(own, how);
    });
  } finally {
    stop.release();
  }
}

type How = Pick<TrainOptions, "signal" | "communicator" | "shard" | "compareEvery">;

async function trainAndTell(options: Record<string, unknown>, how: How, streams: Streams): Promise<void> {
  const { resume: run, json, ...flags } = options;
  const bar = reporter();
  let began = false;
  const onEvent = (event: RunEvent) => {
    began ||= event.type === "start";
    if (json === true) printJson(streams, event);
    bar.show(event);
  };
  try {
    const telling = { ...how, onEvent };
    const result = await (run === undefined ? startNew(flags, telling) : goOn(String(run), flags, telling));
    bar.end(result);
    if (json === true) printJson(streams, { type: "end", ...result });
  } catch (error) {
    if (!how.signal?.aborted || run !== undefined || began || how.communicator !== undefined) throw error;
    bar.close();
    streams.err.write(STOPPED_EARLY);
    process.exitCode = INTERRUPTED;
  } finally {
    bar.close();
  }
}

/** As one of several processes, of which another tells what happens. */
async function trainQuietly({ resume: run, json: _, ...flags }: Record<string, unknown>, how: How): Promise<void> {
  await (run === undefined ? startNew(flags, how) : goOn(String(run), flags, how));
}

function startNew({ config, set, ...flags }: Record<string, unknown>, options: TrainOptions): Promise<TrainResult> {
  const file = config === undefined ? {} : readSettingsFile(String(config), Object.keys(trainSettingsSchema.shape));
  const replaced = flags.mix !== undefined ? "data" : flags.data !== undefined ? "mix" : undefined;
  if (replaced !== undefined) delete file[replaced];
  const overrides = (set ?? {}) as Record<string, unknown>;
  return train({ ...file, ...flags } as TrainSettingsInput, { ...options, overrides });
}

function goOn(run: string, flags: Record<string, unknown>, options: TrainOptions): Promise<TrainResult> {
  const changeable = Object.keys(resumeSettingsSchema.shape);
  const other = Object.keys(flags).find((field) => !changeable.includes(field));
  if (other !== undefined) {
    const reason = "which goes on with the run's own configuration";
    const allowed = `(only ${changeable.map(flagOf).join(" and ")} can change)`;
    const advice = fineTuning(run, flags);
    throw new LonghandError(
      "usage",
      `${flagOf(other)} cannot be combined with --resume, ${reason} ${allowed}${advice}`,
    );
  }
  return resume(run, { ...(flags as ResumeSettings), ...options });
}

/** Settings of one's own are for fine-tuning: the command, unless something is asked for that comes with the model. */
function fineTuning(run: string, { data = "TEXT", set = {}, ...flags }: Record<string, unknown>): string {
  const assigned = Object.entries(set as Record<string, unknown>);
  const names = [...OF_MODEL, "from", "config"];
  if (Object.keys(flags).some((name) => names.includes(name)) || assigned.some(([key]) => isFieldOfModel(key)))
    return "";
  const words = Object.entries(flags).map(([name, value]) => {
    return value === true ? flagOf(name) : `${flagOf(name)} ${[value].flat().join(" ")}`;
  });
  const sets = assigned.map(
    ([key, value]) => `--set ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const command = ["longhand train --from", run, "--data", ...[data].flat(), ...words, ...sets].join(" ");
  return `; to train its model on with settings of your own is fine-tuning: ${command}`;
}

/** A bar for each rate, from the lowest; the shorter, the lower its loss. */
function ratePlot(trials: readonly RateTrial[]): string[] {
  const finite = trials.map(({ loss }) => loss).filter(Number.isFinite);
  const [least, most] = [Math.min(...finite), Math.max(...finite)];
  return trials
    .toSorted((a, b) => a.rate - b.rate)
    .map(({ rate, loss }) => {
      const name = `  ${rate.toExponential(1).padEnd(8)}`;
      if (!Number.isFinite(loss)) return `${name}diverged`;
      const bar = "=".repeat(1 + Math.round((30 * (loss - least)) / Math.max(most - least, 1e-9)));
      return `${name}${loss.toFixed(4)} ${bar}${loss === least ? " best" : ""}`;
    });
}

/** ": wiki 3.9312, pg19 4.1047" */
function partLosses(parts: readonly PartLoss[] = []): string {
  if (parts.length === 0) return "";
  return `: ${parts.map(({ name, loss }) => `${name} ${loss.toFixed(4)}`).join(", ")}`;
}

/** How far examples of a corpus can go on from: its tokens, with the border before them. */
function inStretches({ training }: RunConfig, tokens: number): string {
  const { context, carryEvery, batch, accumulate } = training;
  const lanes = carryEvery * batch * accumulate;
  return ` in ${lanes} stretches of ${context * windowsPerLane({ tokens, context, lanes })} tokens`;
}

/** Tells events to a person, on stderr. */
function reporter() {
  const progress = openProgress("train");
  const fetched = fetching(progress);
  let steps = 0;
  let speed = 0;
  let stage = "";
  let began = 0;
  let masked = false;
  const evaluations: { readonly step: number; readonly perplexity: number }[] = [];
  return {
    show(event: RunEvent) {
      switch (event.type) {
        case "prepare":
          if (event.stage === "download") {
            fetched(event);
            break;
          }
          if (event.stage !== stage) {
            progress.note(event.stage === "tokenizer" ? "training the tokenizer" : "turning text into tokens");
            began = performance.now();
          }
          stage = event.stage;
          if (event.stage === "tokens" && event.done > 0) {
            const left = ((performance.now() - began) / 1000 / event.done) * (1 - event.done);
            progress.update(Math.floor(event.done * 100), 100, `% of the text, ${duration(left)} left`);
          }
          break;
        case "start": {
          progress.end();
          const { config } = event;
          const { context, accumulate, batch } = config.training;
          steps = config.training.steps;
          masked = config.training.objective === "masked";
          const part = event.trained === undefined ? "" : ` (${event.trained} of them trained)`;
          const size = `${(event.parameters / 1e6).toFixed(1)} M parameters${part}`;
          const data = `${event.trainTokens} tokens to learn, ${event.heldOutTokens} held out`;
          if (config.from && event.step === 0)
            progress.note(`begins from ${config.from.path}, step ${config.from.step}`);
          progress.note(
            `${event.run}: ${config.model.architecture}, ${size}, ${data}${event.step > 0 ? `, from step ${event.step}` : ""}`,
          );
          if (event.deviceReason !== undefined)
            progress.note(`computing on ${config.engine.device}: ${event.deviceReason}`);
          if (event.corpora === undefined && config.training.carry)
            progress.note(`read${inStretches(config, event.trainTokens + 1)}`);
          for (const { name, share, tokens } of event.corpora ?? []) {
            const epochs = (steps * accumulate * batch * context * share) / tokens;
            const order = config.training.carry ? inStretches(config, tokens) : "";
            const size = `${tokens} tokens${order}, ${epochs.toPrecision(2)} times in ${steps} steps`;
            progress.note(`  ${(100 * share).toFixed(1)} % of the examples from ${name}: ${size}`);
          }
          break;
        }
        case "train": {
          speed = speed === 0 ? event.tokensPerSecond : 0.9 * speed + 0.1 * event.tokensPerSecond;
          const left = (event.tokens / event.step / speed) * (steps - event.step);
          const loss = `loss ${event.loss.toFixed(3)} ppl ${event.perplexity.toFixed(1)}`;
          progress.update(event.step, steps, `${loss} ${Math.round(speed)} tokens/s ${duration(left)} left`);
          break;
        }
        case "eval":
          evaluations.push(event);
          progress.note(
            `step ${event.step}: held-out loss ${event.loss.toFixed(4)}, perplexity ${event.perplexity.toFixed(2)} (${event.tokens} tokens)${partLosses(event.parts)}`,
          );
          break;
        case "rate-search":
          progress.note(
            `looking for a learning rate: at most ${event.trials} trainings of ${event.steps} steps, ` +
              `${Math.round((100 * event.trials * event.steps) / steps)} % of the steps of the training`,
          );
          break;
        case "rate-trial":
          progress.note(
            `  rate ${event.rate.toPrecision(2)}: held-out loss ${event.loss.toFixed(4)} after ${event.steps} steps`,
          );
          break;
        case "rate":
          for (const line of ratePlot(event.trials)) progress.note(line);
          progress.note(`learning rate ${event.rate}`);
          break;
        case "sample":
          progress.note(`  ${(event.prompt + event.text).replace(/\s+/g, " ")}`);
          break;
        case "skip":
          progress.note(`step ${event.step} skipped: ${event.reason}`);
          break;
        case "warning":
          progress.note(`warning: ${event.message}`);
          break;
        case "checkpoint":
          break;
      }
    },
    end({ run, step, finished }: TrainResult) {
      progress.end();
      for (const text of curve(evaluations, process.stderr.columns)) progress.note(text);
      const use = masked ? `fill ${run} "… [MASK] …"` : `generate ${run} "…"`;
      if (finished)
        progress.note(`finished at step ${step}: try  longhand ${use}  or  longhand eval ${run} --data FILE`);
      else progress.note(`stopped at step ${step}, saved: go on with  longhand train --resume ${run}`);
    },
    close: () => progress.end(),
  };
}
