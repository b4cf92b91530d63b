/**
 * `npm run bench [-- --json]`: speed and memory of training beside PyTorch, training at growing contexts, decoding at
 * growing positions, memory of long contexts, preparing a corpus, keeping documents apart, a mean instead of a sum in the
 * distant half, the engine's options, what a step asks of a graphics card, the server, scoring beside evaluation, writing
 * beside a peer, the studio's page, training in a browser, and every architecture beside PyTorch. Progress goes to
 * stderr, the report to stdout.
 */
import { parseArgs } from "node:util";
import { messageOf } from "../src/base/errors.ts";
import { type PresetName, presetNames } from "../src/models/presets.ts";
import { type ArchitectureName, architectureNames } from "../src/models/registry.ts";
import { benchArchitectures, TOKENS_PER_STEP } from "./architectures.ts";
import { benchContext } from "./context.ts";
import { benchData } from "./data.ts";
import { benchDecode } from "./decode.ts";
import { benchDeviceNodes } from "./device-nodes.ts";
import { benchDistant } from "./distant.ts";
import { benchDocuments } from "./documents.ts";
import { benchEngine } from "./engine.ts";
import { describeMachine, versions } from "./machine.ts";
import { benchMemory } from "./memory.ts";
import { benchPeer } from "./peer.ts";
import { machineText, type Sections, sectionsText } from "./report.ts";
import { benchScore } from "./score.ts";
import { benchServe } from "./serve.ts";
import { benchStudio } from "./studio.ts";
import { benchTraining } from "./training.ts";
import { benchWeb } from "./web.ts";

const HELP = `npm run bench -- [options]

  --json           one JSON object on stdout
  --rounds N       rounds that are counted (default 9); medians come with quartiles
  --warmup N       steps before them (default 4; with fewer than 3 the peak memory is not reached)
  --only SECTION   training, context, decode, data, documents, distant, engine, device-nodes, memory, architectures,
                   serve, score, peer, studio or web (default: the first four; the others take long)
  --context LIST   contexts of the architectures (default 512,2048,8192); they divide ${TOKENS_PER_STEP} tokens a step
  --preset NAME    size of the architectures, and of the models of engine, device-nodes, serve and peer (default tiny)
  --model LIST     which architectures (default all)
  --data PATH      text to prepare in the data section (default: Moby-Dick and the State of the Union addresses)
  --no-pytorch     leave out the comparison with PyTorch
  --help

Example: npm run bench -- --only training --rounds 15
`;

const quickSections = ["training", "context", "decode", "data"] as const;
const sectionNames = [
  ...quickSections,
  "documents",
  "distant",
  "engine",
  "device-nodes",
  "memory",
  "architectures",
  "serve",
  "score",
  "peer",
  "studio",
  "web",
] as const;
type SectionName = (typeof sectionNames)[number];

interface Options {
  readonly json: boolean;
  readonly rounds: number;
  readonly warmup: number;
  readonly pytorch: boolean;
  readonly data: string | undefined;
  readonly sections: readonly SectionName[];
  readonly contexts: readonly number[];
  readonly preset: PresetName;
  readonly architectures: readonly ArchitectureName[];
}

class UsageError extends Error {}

/** Undefined when help was requested. */
function parseOptions(args: readonly string[]): Options | undefined {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
  if (values.help) return undefined;
  const { only, context, preset, model, data } = values;
  const sections = only === undefined ? quickSections : [oneOf("--only", only, sectionNames)];
  return {
    json: values.json,
    rounds: count("--rounds", values.rounds),
    warmup: count("--warmup", values.warmup),
    pytorch: !values["no-pytorch"],
    sections,
    data,
    contexts: context.split(",").map(contextLength),
    preset: oneOf("--preset", preset, presetNames),
    architectures: model?.split(",").map((name) => oneOf("--model", name, architectureNames())) ?? architectureNames(),
  };
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      json: { type: "boolean", default: false },
      rounds: { type: "string", default: "9" },
      warmup: { type: "string", default: "4" },
      only: { type: "string" },
      data: { type: "string" },
      context: { type: "string", default: "512,2048,8192" },
      preset: { type: "string", default: "tiny" },
      model: { type: "string" },
      "no-pytorch": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  }).values;
}

function count(name: string, value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new UsageError(`${name} ${value}: expected a positive integer`);
  return number;
}

function oneOf<T extends string>(option: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((name) => name === value);
  if (found === undefined) throw new UsageError(`${option} ${value}: expected one of ${allowed.join(", ")}`);
  return found;
}

function contextLength(value: string): number {
  const context = count("--context", value);
  if (TOKENS_PER_STEP % context === 0) return context;
  throw new UsageError(`--context ${value}: expected a divisor of the ${TOKENS_PER_STEP} tokens of a step`);
}

async function main({ json, sections, ...options }: Options): Promise<void> {
  const machine = describeMachine();
  const installed = versions();
  if (!json) process.stdout.write(`${machineText(machine, installed)}\n\n`);
  const note = (text: string) => process.stderr.write(`${text}\n`);
  const wanted = (name: SectionName) => sections.includes(name);
  const results: Sections = {
    training: wanted("training") ? await benchTraining({ ...options, note }) : null,
    context: wanted("context") ? await benchContext({ ...options, note }) : null,
    decode: wanted("decode") ? await benchDecode({ ...options, note }) : null,
    data: wanted("data") ? await benchData({ ...options, note }) : null,
    distant: wanted("distant") ? await benchDistant({ ...options, note }) : null,
    documents: wanted("documents") ? await benchDocuments({ ...options, note }) : null,
    engine: wanted("engine") ? await benchEngine({ ...options, note }) : null,
    deviceNodes: wanted("device-nodes") ? await benchDeviceNodes({ ...options, note }) : null,
    architectures: wanted("architectures") ? await benchArchitectures({ ...options, note }) : null,
    memory: wanted("memory") ? await benchMemory({ note }) : null,
    serve: wanted("serve") ? await benchServe({ ...options, note }) : null,
    score: wanted("score") ? await benchScore({ ...options, note }) : null,
    peer: wanted("peer") ? await benchPeer({ ...options, note }) : null,
    studio: wanted("studio") ? await benchStudio({ ...options, note }) : null,
    web: wanted("web") ? await benchWeb({ ...options, note }) : null,
  };
  if (json)
    process.stdout.write(`${JSON.stringify({ ...headline(results), machine, versions: installed, ...results })}\n`);
  else process.stdout.write(`${sectionsText(results)}\n`);
}

/** The fields that scripts rely on; null where they were not measured. */
function headline({ training }: Sections) {
  return {
    tokensPerSecond: training?.tokensPerSecond.median ?? null,
    modelGflops: training?.modelGflops.median ?? null,
    matmulGflops: training?.products.best.gflops ?? null,
    matmulShare: training?.matmulShare ?? null,
    optimizerShare: training?.optimizerShare.median ?? null,
    peakBytes: training?.peakBytes ?? null,
    pytorchRatio: training?.pytorch?.asUserRunsIt.ratio.median ?? null,
    pytorchHugePagesRatio: training?.pytorch?.hugePages.ratio.median ?? null,
    pytorchPeakRatio: training?.pytorch?.asUserRunsIt.memoryRatio ?? null,
    pytorchReason: training ? training.pytorchReason : "the training section was not run",
    spread: training && {
      tokensPerSecond: training.tokensPerSecond,
      modelGflops: training.modelGflops,
      optimizerShare: training.optimizerShare,
      pytorchRatio: training.pytorch?.asUserRunsIt.ratio ?? null,
      pytorchHugePagesRatio: training.pytorch?.hugePages.ratio ?? null,
    },
  };
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(HELP);
  else await main(options);
} catch (error) {
  process.stderr.write(`bench: ${messageOf(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
