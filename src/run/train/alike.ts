/**
 * Whether processes that train together have the same of everything that their results follow from: compared before the
 * first step, and their parameters and moments now and then, by digests.
 */
import { createHash } from "node:crypto";
import { hostname } from "node:os";
import { LonghandError } from "../../base/errors.ts";
import { sha256 } from "../../base/files.node.ts";
import { processors } from "../../base/processors.node.ts";
import { type Communicator, gatherTexts } from "../../train/communicator.ts";
import type { LoopState } from "../../train/loop.ts";
import type { Shard } from "../../train/shard.ts";
import type { RunData } from "../data/run-tokens.ts";
import { version } from "../machine/version.ts";
import { AgreedError } from "./together.ts";

/** Digests are shown by their beginning. */
const DIGEST = /^([0-9a-f]{12})[0-9a-f]{52}$/;

/** What each process has, by the name that a message gives it. */
export type Facts = Readonly<Record<string, string>>;

/** What makes the arithmetic of a process, in addition to its configuration. */
export function factsOfMachine(): Facts {
  const { name } = processors();
  return { version, "version of Node": process.version, "kind of processor": `${name}, ${process.arch}` };
}

/** What a process learns from, and what it begins with. */
export function factsOfRun(
  { tokenizer, train, heldOut, digests }: RunData,
  state: LoopState,
  division?: Shard | undefined,
): Facts {
  const lengths = [train, heldOut].map((sequences) => sequences.map(({ tokens }) => tokens));
  return {
    tokenizer: tokenizer.digest,
    text: digestOf([digests, lengths]),
    "step to go on from": `${state.step}`,
    parameters: digestOfState(state, division),
  };
}

/** Of anything that JSON can say. */
export const digestOf = (value: unknown): string => sha256(JSON.stringify(value));

/** Throws AgreedError "usage" naming the first fact that differs from that of process 0, and where. */
export async function requireAlike(communicator: Communicator, factsOf: () => Facts): Promise<void> {
  if (communicator.size === 1) return;
  const own = JSON.stringify({ host: hostname(), facts: factsOf() });
  const all = (await gatherTexts(communicator, own, { what: "the comparison before the first step" })).map(
    (text) => JSON.parse(text) as { readonly host: string; readonly facts: Facts },
  );
  for (const [rank, { host, facts: theirs }] of all.entries()) {
    const name = Object.keys(all[0].facts).find((name) => all[0].facts[name] !== theirs[name]);
    if (name === undefined) continue;
    const [expected, got] = [all[0], { facts: theirs }].map(({ facts }) => facts[name].replace(DIGEST, "$1…"));
    const problem = `process ${rank} on ${host} has another ${name} than process 0 on ${all[0].host}: ${got}, not ${expected}`;
    throw new AgreedError(new LonghandError("usage", `MPI: ${problem}; give all the same, or leave that machine out`));
  }
}

/** Throws AgreedError "engine" where parameters or moments have come to differ. */
export async function requireSameState(
  communicator: Communicator,
  state: LoopState,
  division?: Shard | undefined,
): Promise<void> {
  if (communicator.size === 1) return;
  const own = digestOfState(state, division);
  const all = await gatherTexts(communicator, own, { what: `the comparison after step ${state.step}` });
  const rank = all.findIndex((digest) => digest !== all[0]);
  if (rank < 0) return;
  throw new AgreedError(
    new LonghandError(
      "engine",
      `MPI: after step ${state.step} process ${rank} has other parameters than process 0, which must not be: a machine or the library computes wrongly; go on from the last checkpoint`,
    ),
  );
}

/** SHA-256 of everything that an update changes on every process, in hexadecimal; moments that are divided are not. */
export function digestOfState({ parameters, optimizer }: LoopState, division?: Shard | undefined): string {
  const hash = createHash("sha256");
  const { m, v, average = {}, outer = {} } = optimizer;
  const trained = Object.keys(m).map((path) => [path, parameters[path].data] as const);
  for (const entries of [
    trained,
    ...[...(division ? [] : [m, v]), average, outer].map((arrays) => Object.entries(arrays)),
  ]) {
    for (const [path, { buffer, byteOffset, byteLength }] of entries) {
      hash.update(path).update(new Uint8Array(buffer, byteOffset, byteLength));
    }
  }
  return hash.digest("hex");
}
