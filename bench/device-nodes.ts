/**
 * What a training step asks of a graphics card: nodes that the provider executes by operator, kernels that it dispatches,
 * nodes that fall back to the CPU, bytes that cross. From the provider's own profile, so that it works on a software adapter
 * too, where the counts are those of a card and times mean nothing.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../src/base/errors.ts";
import { modelOf } from "../src/models/language-model.ts";
import type { PresetName } from "../src/models/presets.ts";
import type { ArchitectureName } from "../src/models/registry.ts";
import { ortNodeEngine } from "../src/runtime/ort-node.ts";
import { initialOptimizerState } from "../src/train/optimizer.ts";
import { createTrainStep } from "../src/train/step.ts";
import { architectureSetup, readSetup, writeSetup } from "./setup.ts";

const PROGRAMS = ["training", "update"] as const;

export interface ProgramCounts {
  readonly program: (typeof PROGRAMS)[number];
  readonly nodes: number;
  /** Most frequent first. */
  readonly byOperator: Readonly<Record<string, number>>;
  readonly dispatches: number;
  readonly onCpu: number;
}

export interface DeviceNodes {
  readonly architecture: ArchitectureName;
  readonly programs: readonly ProgramCounts[];
  /** Bytes of a step. */
  readonly sent: number;
  readonly received: number;
}

export interface DeviceNodesReport {
  readonly preset: PresetName;
  readonly context: number;
  readonly results: readonly DeviceNodes[];
  /** Why nothing was counted. */
  readonly reason: string | null;
}

interface DeviceNodesOptions {
  readonly preset: PresetName;
  note(text: string): void;
}

const CONTEXT = 512;
const STEPS = 2;
const ARCHITECTURES = ["flash", "transformer++"] as const;

export async function benchDeviceNodes({ preset, note }: DeviceNodesOptions): Promise<DeviceNodesReport> {
  const report = { preset, context: CONTEXT };
  const results: DeviceNodes[] = [];
  for (const architecture of ARCHITECTURES) {
    note(`device-nodes: ${architecture}`);
    try {
      results.push(await countOf(architecture, preset));
    } catch (error) {
      // The runtime puts a condition of its source before what it means.
      const problem = messageOf(error)
        .split("\n")[0]
        .replace(/: \/.* was false\. /, ": ");
      return { ...report, results: [], reason: `WebGPU does not work here: ${problem}` };
    }
  }
  return { ...report, results, reason: null };
}

async function countOf(architecture: ArchitectureName, preset: PresetName): Promise<DeviceNodes> {
  const file = writeSetup(architectureSetup(architecture, { preset, context: CONTEXT, tokensPerStep: CONTEXT }));
  const folder = mkdtempSync(join(tmpdir(), "longhand-profile-"));
  try {
    const { setup, parameters, batches } = readSetup(file.path);
    const { learningRate, optimizer: config } = setup;
    const engine = ortNodeEngine({ device: "webgpu", profileTo: folder });
    const step = await createTrainStep(engine, modelOf(setup.model), setup);
    const state = initialOptimizerState(parameters);
    let before = { ...engine.traffic };
    for (let update = 1; update <= STEPS; update++) {
      before = { ...engine.traffic };
      await step.run({ parameters, state, batches: [batches[0]], learningRate, update, config });
    }
    const { sent, received } = engine.traffic;
    await step.release();
    await engine.close();
    const programs = PROGRAMS.map((program) => countsIn(folder, program));
    return { architecture, programs, sent: sent - before.sent, received: received - before.received };
  } finally {
    file.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What is read of an event of the profile. */
interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  readonly args?: { readonly op_name?: string; readonly provider?: string };
}

/** The runtime writes an event for each node, the provider one for each kernel. */
function countsIn(folder: string, program: (typeof PROGRAMS)[number]): ProgramCounts {
  const name = readdirSync(folder).find((file) => file.startsWith(program));
  if (name === undefined) throw new Error(`the runtime wrote no profile of ${program}`);
  const events = JSON.parse(readFileSync(join(folder, name), "utf8")) as ProfileEvent[];
  const nodes = events.filter((event) => event.cat === "Node" && event.name.endsWith("_kernel_time"));
  const counts = new Map<string, number>();
  for (const { args } of nodes) counts.set(args?.op_name ?? "?", (counts.get(args?.op_name ?? "?") ?? 0) + 1 / STEPS);
  return {
    program,
    nodes: nodes.length / STEPS,
    byOperator: Object.fromEntries([...counts].sort(([, a], [, b]) => b - a)),
    dispatches: events.filter(({ cat }) => cat === "Api").length / STEPS,
    onCpu: nodes.filter(({ args }) => args?.provider !== "WebGpuExecutionProvider").length / STEPS,
  };
}
