/**
 * A process that is measured. It is driven by JSON lines, one command to its stdin and one answer from its stdout
 * (serve.ts is the other end). Processes that are compared run side by side and work one at a time. One that is about
 * to exhaust the memory is killed before the system has to choose a victim, and its pending command fails with
 * NotEnoughMemory.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type ErrorCode, LonghandError } from "longhand";
import { availableMemory, machineMemory, messageOf } from "longhand/tools";

export interface ProcessOptions {
  /** For messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** A model did not fit into memory. */
export class NotEnoughMemory extends Error {}

const WATCH_MS = 100;
/** Share of all memory that must stay free. */
const RESERVE = 0.06;

/** How this Node runs a script, with the loader and conditions that this process has. */
export function nodeProcess(script: URL, name: string, args: readonly string[], env = process.env): ProcessOptions {
  return { name, command: process.execPath, args: [...process.execArgv, fileURLToPath(script), ...args], env };
}

export class MeasuredProcess {
  readonly name: string;
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly answers: AsyncIterator<string>;
  private errors = "";
  private failure: Error | undefined;

  constructor({ name, command, args, env = process.env }: ProcessOptions) {
    this.name = name;
    this.child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    const lines = createInterface({ input: this.child.stdout });
    this.answers = lines[Symbol.asyncIterator]();
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.errors = (this.errors + text).slice(-4000);
    });
    this.child.on("error", (error) => {
      this.failure = error;
      lines.close();
    });
    this.child.stdin.on("error", () => {}); // shows as a missing answer
    offerAsVictim(this.child.pid);
  }

  /** What the process says when it is ready. Throws NotEnoughMemory, or what the process failed with. */
  ready<T>(): Promise<T> {
    return this.guarded(() => this.receive<T>());
  }

  /** The answer to a command. Throws NotEnoughMemory, or what the process answered instead. */
  ask<T>(command: string, fields: Readonly<Record<string, unknown>> = {}): Promise<T> {
    return this.guarded(() => {
      this.child.stdin.write(`${JSON.stringify({ do: command, ...fields })}\n`);
      return this.receive<T>();
    });
  }

  /** Largest resident size so far. */
  async peakBytes(): Promise<number> {
    return (await this.ask<{ peakBytes: number }>("memory")).peakBytes;
  }

  /** Seconds of processor time so far, all threads; NaN where there is no /proc. */
  processorSeconds(): number {
    try {
      const stat = readFileSync(`/proc/${this.child.pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return (Number(fields[11]) + Number(fields[12])) / 100; // utime and stime, in ticks of 10 ms
    } catch {
      return Number.NaN;
    }
  }

  async stop(): Promise<void> {
    if (this.ended()) return;
    const ended = once(this.child, "exit");
    this.child.stdin.end();
    await ended;
  }

  private ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null || this.failure !== undefined;
  }

  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    let shortage: string | undefined;
    const watch = setInterval(() => {
      const { free, total } = machineMemory();
      if (shortage !== undefined || free > RESERVE * total) return;
      shortage = `it was stopped when ${gigabytes(free)} of ${gigabytes(total)} were left`;
      this.child.kill("SIGKILL");
    }, WATCH_MS);
    try {
      return await work();
    } catch (error) {
      if (shortage !== undefined) throw new NotEnoughMemory(shortage);
      const message = messageOf(error);
      throw /alloc|out of memory|exceeds the max/i.test(message) ? new NotEnoughMemory(message) : error;
    } finally {
      clearInterval(watch);
    }
  }

  private async receive<T>(): Promise<T> {
    const { value, done } = await this.answers.next();
    if (done) throw new Error(`${this.name} ended early: ${await this.causeOfDeath()}`);
    const { error, code, ...reply } = JSON.parse(value) as T & { error?: string; code?: ErrorCode };
    if (error === undefined) return reply as T;
    throw code === undefined ? new Error(`${this.name}: ${error}`) : new LonghandError(code, `${this.name}: ${error}`);
  }

  private async causeOfDeath(): Promise<string> {
    if (!this.ended()) await once(this.child, "exit");
    if (this.failure) return this.failure.message;
    const { exitCode, signalCode } = this.child;
    if (signalCode === "SIGKILL") return "killed (out of memory?)";
    return this.errors.trim().split("\n").at(-1) || `exit ${signalCode ?? exitCode} without a message`;
  }
}

/** If memory runs out all the same, the system is to kill this process rather than another one. */
function offerAsVictim(pid: number | undefined): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, "1000");
  } catch {
    // Not Linux, or the process has ended already, which shows as a missing answer.
  }
}

/** Starts processes, and stops them whatever happens. */
export async function withProcesses<T>(
  options: readonly ProcessOptions[],
  use: (processes: readonly MeasuredProcess[]) => Promise<T>,
): Promise<T> {
  const processes = options.map((each) => new MeasuredProcess(each));
  try {
    return await use(processes);
  } finally {
    await Promise.all(processes.map((each) => each.stop()));
  }
}

/** Thread pools spin for some tens of milliseconds after their last work: nothing is measured until they sleep. */
const SETTLE_MS = 150;
export const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

/** One training step as a process reports it. */
export interface StepReply {
  readonly milliseconds: number;
  readonly phases: { readonly graph: number; readonly optimizer: number };
  readonly loss: number;
}

/** The largest share of one core that processes used while they should have waited; null where it is not known. */
export class IdleWatch {
  share: number | null = null;

  /** Runs `work`, and reads how much processor time `waiting` used during the milliseconds that it measured. */
  async during<T>(
    waiting: readonly Pick<MeasuredProcess, "processorSeconds">[],
    work: () => Promise<T>,
    milliseconds: (done: T) => number,
  ): Promise<T> {
    await settle();
    const before = waiting.map((each) => each.processorSeconds());
    const done = await work();
    const seconds = waiting.reduce((sum, each, i) => sum + each.processorSeconds() - before[i], 0);
    const share = seconds / (milliseconds(done) / 1000);
    if (Number.isFinite(share)) this.share = Math.max(this.share ?? 0, share);
    return done;
  }
}

export interface Interleaved {
  /** One list of replies a process, one reply a round. */
  readonly replies: readonly (readonly StepReply[])[];
  /** Largest share of one core that all waiting processes together used during a step; null where it is not known. */
  readonly idleShare: number | null;
}

/** Rounds of one step of each process, one at a time, each round beginning with another one. */
export async function interleave(
  processes: readonly MeasuredProcess[],
  rounds: number,
  afterRound: (round: number) => Promise<void> = async () => {},
): Promise<Interleaved> {
  const replies = processes.map(() => [] as StepReply[]);
  const watch = new IdleWatch();
  for (let round = 0; round < rounds; round++) {
    for (const turn of turns(processes.length, round)) {
      const waiting = processes.filter((_, i) => i !== turn);
      const step = () => processes[turn].ask<StepReply>("step");
      replies[turn].push(await watch.during(waiting, step, ({ milliseconds }) => milliseconds));
    }
    await afterRound(round);
  }
  return { replies, idleShare: watch.share };
}

/** 0 … count - 1, each round beginning with another one, so that other load on the machine affects all equally. */
export function turns(count: number, round: number): number[] {
  return Array.from({ length: count }, (_, i) => (round + i) % count);
}

/** Share of the available memory that evaluating may take. */
const MEMORY_SHARE = 0.88;

/** Why there is no memory for so many bytes more than this process has already; undefined where there is. */
export function memoryFor(bytes: number): string | undefined {
  const needed = process.memoryUsage.rss() + bytes;
  const available = MEMORY_SHARE * availableMemory();
  if (needed <= available) return undefined;
  return `it needs about ${gigabytes(needed)} and there are ${gigabytes(available)}`;
}

/** 1234567890 -> "1.2 GB" */
export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
