/**
 * A session as a file: safetensors with the entries of its state, the tokens that are still to be read and the last ones
 * that were; as metadata, what it is, the model and tokenizer that it belongs to, its position, and a checksum of all that.
 * Reading trusts nothing of it.
 */

import type { HostTensor } from "../../base/dtype.ts";
import { LonghandError } from "../../base/errors.ts";
import { sha256 } from "../../base/files.node.ts";
import { decodeSafetensors, encodeSafetensors } from "../../checkpoint/safetensors.ts";
import { DecodingState } from "../../generate/state.ts";
import type { DecodingArchitecture } from "../../nn/decoding.ts";

/** What a session goes on with. */
export interface SessionContent {
  readonly state: DecodingState;
  /** Tokens of the text that the state has not read. */
  readonly pending: Int32Array;
  /** The last tokens of the text, for the repetition penalty. */
  readonly recent: Int32Array;
}

/** What a session belongs to: SHA-256 in hexadecimal. */
export interface SessionOwner {
  readonly model: string;
  readonly tokenizer: string;
}

/** So many of a text's last tokens are kept. */
export const RECENT_TOKENS = 4096;

const FORMAT = { format: "longhand-session", version: "1" };

/** The file in chunks, to be written one after the other. */
export function encodeSession({ state, pending, recent }: SessionContent, owner: SessionOwner): Uint8Array[] {
  const list = (data: Int32Array): HostTensor => ({ dtype: "int32", shape: [data.length], data });
  const tensors = { ...state.entries(), pending: list(pending), recent: list(recent) };
  const facts = { ...FORMAT, ...owner, position: String(state.position(0)) };
  return encodeSafetensors(tensors, { ...facts, checksum: checksumOf(tensors, facts) });
}

/** The content of a file. `name` is what errors call it. Throws "checkpoint" for one that is damaged or of another model. */
export function decodeSession(
  bytes: Uint8Array,
  name: string,
  { architecture, owner }: { readonly architecture: DecodingArchitecture; readonly owner: SessionOwner },
): SessionContent {
  const refuse = (problem: string): never => {
    throw new LonghandError("checkpoint", `${name}: ${problem}`);
  };
  const { tensors, metadata } = decodeSafetensors(bytes, name);
  const { checksum, ...facts } = metadata;
  if (facts.format !== FORMAT.format) refuse("it is not a saved session");
  if (facts.version !== FORMAT.version) refuse(`it has version ${facts.version}; this version of Longhand reads 1`);
  const { pending, recent, ...entries } = tensors;
  const known = Object.keys(entries).every((key) => architecture.state.has(key));
  if (facts.model !== owner.model || facts.tokenizer !== owner.tokenizer || !known)
    refuse("it belongs to another model, or to other weights of this one");
  if (checksum !== checksumOf(tensors, facts))
    refuse("it does not match its own checksum, so it was damaged or edited");
  const position = Number(facts.position);
  if (!/^\d{1,15}$/.test(facts.position) || position > architecture.maxLength)
    refuse(`position: expected a number of tokens, got ${JSON.stringify(facts.position.slice(0, 30))}`);
  const list = (tensor: HostTensor | undefined, what: string): Int32Array => {
    const wrong = (id: number) => id < 0 || id >= architecture.vocabSize;
    if (tensor?.dtype !== "int32" || tensor.shape.length !== 1 || tensor.data.length > RECENT_TOKENS)
      refuse(`${what}: expected a list of at most ${RECENT_TOKENS} tokens`);
    const data = tensor?.data as Int32Array;
    return data.some(wrong) ? refuse(`${what}: expected tokens of the vocabulary`) : data;
  };
  return {
    state: DecodingState.restored(architecture, position, entries),
    pending: list(pending, "pending"),
    recent: list(recent, "recent"),
  };
}

/** Over names, types, shapes and data, in an order that does not depend on where tensors lie in the file. */
function checksumOf(tensors: Readonly<Record<string, HostTensor>>, facts: Readonly<Record<string, string>>): string {
  const sorted = <T>(record: Readonly<Record<string, T>>) =>
    Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
  return sha256(
    JSON.stringify(sorted(facts)),
    ...sorted(tensors).flatMap(([name, { dtype, shape, data }]) => [
      JSON.stringify([name, dtype, shape]),
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    ]),
  );
}
