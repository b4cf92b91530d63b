/**
 * Starts this command again with huge pages on, once. Where Node can replace the process it does; before Node 22.15 a
 * child runs in its place: signals are passed on, the exit status comes back, and the child dies with its parent, even
 * when the parent is killed with -9, so that there is never a second training behind the first. A process of an MPI job is
 * always replaced.
 */
import { spawn } from "node:child_process";
import { fstatSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { becomeProgram } from "../base/posix.node.ts";
import { filesOf, launchOf } from "../mpi/launcher.ts";
import { HUGE_PAGES_TUNABLE, hugePages } from "../runtime/huge-pages.node.ts";

const CHILD_MARK = "LONGHAND_PARENT_PIPE";
const PIPE_FD = 3;
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

/** Linux ends a process that exhausts the memory without a message: this one says what has probably happened. */
const KILLED =
  "longhand: killed by SIGKILL, most likely because memory ran out: go on with --resume where a run has begun, or use a " +
  "smaller --batch, a shorter --context or --recompute layers\n";

/** Resolves only in the process that is to run the command. */
export async function withHugePages(): Promise<void> {
  if (isChild()) watchParent();
  if (!hugePages().wouldHelp) return;
  const args = [...process.execArgv, ...process.argv.slice(1)];
  const env = { ...process.env, GLIBC_TUNABLES: HUGE_PAGES_TUNABLE };
  if (launchOf(process.env) !== undefined) {
    // What an MPI launcher has started must stay the process that it is, with the file through which they speak.
    const files = filesOf(process.env);
    becomeProgram({ file: process.execPath, args: [process.execPath, ...args], environment: env, files });
    return; // goes on without, where that is not possible
  }
  const { execve } = process as { execve?: (file: string, args: string[], env: NodeJS.ProcessEnv) => void };
  if (execve) execve.call(process, process.execPath, [process.execPath, ...args], env);
  const child = spawn(process.execPath, args, {
    env: { ...env, [CHILD_MARK]: "1" },
    stdio: ["inherit", "inherit", "inherit", "pipe"],
    detached: true, // a Ctrl-C of the terminal reaches the parent alone, which passes it on once
  });
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal));
  await new Promise<never>(() => {
    child.on("error", (error) => {
      process.stderr.write(`longhand: cannot start again with ${HUGE_PAGES_TUNABLE}: ${error.message}\n`);
      process.exit(1);
    });
    child.on("exit", (code, signal) => {
      if (signal === null) process.exit(code ?? 1);
      if (signal === "SIGKILL") process.stderr.write(KILLED);
      for (const name of FORWARDED) process.removeAllListeners(name);
      process.kill(process.pid, signal);
    });
  });
}

/**
 * Whether this is such a child, with the pipe from its parent; asking for the parent's process ID would not do, since the
 * parent may have ended already. The mark is removed from the environment: children of this process have no such pipe.
 */
function isChild(): boolean {
  const marked = process.env[CHILD_MARK] !== undefined;
  delete process.env[CHILD_MARK];
  if (!marked) return false;
  try {
    const pipe = fstatSync(PIPE_FD);
    return pipe.isSocket() || pipe.isFIFO();
  } catch {
    return false;
  }
}

/**
 * Kills this process when the pipe from the parent closes. A thread of its own does so at once even while the engine blocks
 * the main thread; it reads through a socket because a thread that blocks in a read could not be ended at exit.
 */
function watchParent(): void {
  const source = `
    const { Socket } = require("node:net");
    const { workerData } = require("node:worker_threads");
    const end = () => process.kill(process.pid, "SIGKILL");
    new Socket({ fd: workerData, readable: true, writable: false }).on("close", end).on("error", end).resume();`;
  new Worker(source, { eval: true, workerData: PIPE_FD }).unref();
}
