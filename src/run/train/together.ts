/**
 * What processes that train together do before and between steps: work that one of them does for all, or all do alike. Each
 * learns how it went with every other, so that all end by one sentence where it went wrong with any, instead of waiting for
 * one that has ended.
 */
import { type ErrorCode, LonghandError, messageOf } from "../../base/errors.ts";
import { type Communicator, gatherTexts, type Meeting } from "../../train/communicator.ts";
import type { RunKeeper } from "../../training/run-training.ts";

/** How long the others wait for what takes as long as it takes, such as the preparation of a corpus. */
export const ANY_TIME_MS = Number.POSITIVE_INFINITY;

/** Every process throws this at the same place, for what went wrong with one or all of them; `cause` says what. */
export class AgreedError extends Error {
  /** Whether it was asked to stop. */
  readonly stopped: boolean;
  constructor(cause: unknown, stopped = false) {
    super(messageOf(cause), { cause });
    this.name = "AgreedError";
    this.stopped = stopped;
  }
}

interface Outcome {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly stopped: boolean;
}

/** Does the work on every process, which then wait for each other. Throws AgreedError where it failed on any. */
export async function together<Result>(
  communicator: Communicator,
  meeting: Meeting,
  work: () => Result | Promise<Result>,
): Promise<Result> {
  if (communicator.size === 1) return work();
  let result: Result | undefined;
  let own: { readonly error: unknown } | undefined;
  try {
    result = await work();
  } catch (error) {
    own = { error };
  }
  const said = await gatherTexts(communicator, own ? JSON.stringify(outcomeOf(own.error)) : "", meeting);
  const failed = said.findIndex((text) => text !== "");
  if (failed < 0) return result as Result;
  const { code, message, stopped } = JSON.parse(said[failed]) as Outcome;
  if (failed === communicator.rank) throw new AgreedError(own?.error, stopped);
  const sentence = failed === 0 ? message : `process ${failed}: ${message}`;
  throw new AgreedError(code === undefined ? new Error(sentence) : new LonghandError(code, sentence), stopped);
}

function outcomeOf(error: unknown): Outcome {
  const code = error instanceof LonghandError ? error.code : undefined;
  return { code, message: messageOf(error), stopped: error instanceof Error && error.name === "AbortError" };
}

/** What the first process knows, on every one: by way of JSON. The others give undefined. */
export async function fromFirst<Value>(
  communicator: Communicator,
  own: Value | undefined,
  meeting: Meeting,
): Promise<Value> {
  if (communicator.size === 1) return own as Value;
  const [text] = await gatherTexts(communicator, own === undefined ? "" : JSON.stringify(own), meeting);
  return JSON.parse(text) as Value;
}

/** A run that the first of several processes keeps for all; the others wait, and hear whether it could. */
export function keptByFirst(own: RunKeeper, communicator: Communicator): RunKeeper {
  const first = communicator.rank === 0;
  const what = (name: string) => ({ what: name });
  return {
    saveConfig: (config) =>
      together(communicator, what("the configuration"), () => (first ? own.saveConfig(config) : undefined)),
    async hasCheckpoint() {
      const meeting = what("the list of checkpoints");
      const known = await together(communicator, meeting, () => (first ? own.hasCheckpoint() : undefined));
      return fromFirst(communicator, known, meeting);
    },
    async saveCheckpoint(content, options) {
      const meeting = what(`the checkpoint of step ${content.step}`);
      const path = await together(communicator, meeting, () => (first ? own.saveCheckpoint(content, options) : ""));
      return fromFirst(communicator, first ? path : undefined, meeting);
    },
    record: (record) => (first ? own.record(record) : undefined),
  };
}
