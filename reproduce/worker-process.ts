/**
 * A measured process, spoken to in JSON lines: one command to its stdin, one answer from its stdout. Its stderr is kept
 * for the error message. Processes that are compared live side by side and work one at a time; CPU time is read from
 * /proc, so that a report can show that the waiting ones really wait.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface, type Interface } from "node:readline";

export interface WorkerOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** One training step as a worker reports it. */
export interface StepReply {
  readonly milliseconds: number;
  readonly phases: { readonly graph: number; readonly optimizer: number };
  readonly loss: number;
}

export class WorkerProcess {
  readonly name: string;
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: Interface;
  private readonly answers: AsyncIterator<string>;
  private errors = "";
  private failure: Error | undefined;

  constructor({ name, command, args, env }: WorkerOptions) {
    this.name = name;
    this.child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.errors = (this.errors + text).slice(-4000);
    });
    this.child.on("error", (error) => {
      this.failure = error;
      this.lines.close();
    });
    this.child.stdin.on("error", () => {}); // told by the missing answer
    this.lines = createInterface({ input: this.child.stdout });
    this.answers = this.lines[Symbol.asyncIterator]();
  }

  /** What the worker says when it is ready. */
  async ready<T>(): Promise<T> {
    return await this.receive<T>();
  }

  async ask<T>(command: string, fields: Readonly<Record<string, unknown>> = {}): Promise<T> {
    this.child.stdin.write(`${JSON.stringify({ do: command, ...fields })}\n`);
    return await this.receive<T>();
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Ends it at once, whatever it is at. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null || this.failure) return;
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null || this.failure) return;
    const ended = once(this.child, "exit");
    this.child.stdin.end();
    await ended;
  }

  /** Seconds of processor time so far, all threads; undefined where there is no /proc. */
  processorSeconds(): number | undefined {
    try {
      const stat = readFileSync(`/proc/${this.child.pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return (Number(fields[11]) + Number(fields[12])) / 100; // utime and stime, in ticks of 10 ms
    } catch {
      return undefined;
    }
  }

  private async receive<T>(): Promise<T> {
    const { value, done } = await this.answers.next();
    if (done) throw new Error(`${this.name} ended early: ${await this.causeOfDeath()}`);
    const reply = JSON.parse(value) as T & { error?: string };
    if (reply.error !== undefined) throw new Error(`${this.name}: ${reply.error}`);
    return reply;
  }

  private async causeOfDeath(): Promise<string> {
    if (this.failure) return this.failure.message;
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, "exit");
    const { exitCode, signalCode } = this.child;
    if (signalCode === "SIGKILL") return "killed (out of memory?)";
    return this.errors.trim().split("\n").at(-1) || `exit ${signalCode ?? exitCode} without a message`;
  }
}

/** Starts, uses and always stops a set of workers. */
export async function withWorkers<T>(
  options: readonly WorkerOptions[],
  use: (workers: readonly WorkerProcess[]) => Promise<T>,
): Promise<T> {
  const workers = options.map((o) => new WorkerProcess(o));
  try {
    return await use(workers);
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

export interface Interleaved {
  /** One list of replies a worker, one reply a round. */
  readonly replies: readonly (readonly StepReply[])[];
  /** Largest share of one core that all waiting workers together used during a step; null where it is not known. */
  readonly idleShare: number | null;
}

/** Thread pools spin for some tens of milliseconds after their last work; nobody is measured meanwhile. */
const SETTLE_MS = 150;
export const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

/** Rounds of one step of each worker, one at a time, each round beginning with another worker. */
export async function interleave(
  workers: readonly WorkerProcess[],
  rounds: number,
  afterRound: (round: number) => Promise<void> = async () => {},
): Promise<Interleaved> {
  const replies = workers.map(() => [] as StepReply[]);
  let idleShare: number | null = null;
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < workers.length; i++) {
      const turn = (round + i) % workers.length;
      const waiting = workers.filter((_, j) => j !== turn);
      await settle();
      const before = waiting.map((worker) => worker.processorSeconds());
      const reply = await workers[turn].ask<StepReply>("step");
      const used = waiting.map((worker, j) => (worker.processorSeconds() ?? NaN) - (before[j] ?? NaN));
      const share = used.reduce((sum, seconds) => sum + seconds, 0) / (reply.milliseconds / 1000);
      if (!Number.isNaN(share)) idleShare = Math.max(idleShare ?? 0, share);
      replies[turn].push(reply);
    }
    await afterRound(round);
  }
  return { replies, idleShare };
}
