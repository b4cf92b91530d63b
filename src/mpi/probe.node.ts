/**
 * A program that finds out whether MPI works here: it joins its job, adds up a known array with the others, and prints what
 * library that was and how many processes there were. A process of its own, since what is wrong with MPI may end it.
 */
import { messageOf } from "../base/errors.ts";
import { MpiCommunicator } from "./communicator.node.ts";
import { launchOf } from "./launcher.ts";

const LIMIT_MS = 10_000;

try {
  const communicator = await MpiCommunicator.open(launchOf(process.env), { limitMs: LIMIT_MS });
  const { rank, size, version } = communicator;
  await communicator.close();
  if (rank === 0) process.stdout.write(`${JSON.stringify({ version, size })}\n`);
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
