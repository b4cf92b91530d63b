/**
 * Decoding as a measured process: `decode-worker.ts FILE THREADS`. At the start one text is read, and a decoder kept at
 * each of the positions; "decode" { position } lets a copy of that decoder read one chunk, token by token; "together"
 * { texts } lets so many texts read one chunk each, a token of each at a time. A chunk, so that each measurement has every
 * place in the chunk and one border in it.
 */
import { type Command, serveCommands } from "../reproduce/serve.ts";
import type { HostArray } from "../src/base/dtype.ts";
import { createBatchDecoder } from "../src/generate/batch-decoder.ts";
import { createDecoder, type Decoder } from "../src/generate/decoder.ts";
import { decodingArchitecture } from "../src/models/decoding.ts";
import { ortNodeEngine } from "../src/runtime/ort-node.ts";
import { readSetup } from "./setup.ts";

const [file, threads, ...places] = process.argv.slice(2);
const engine = ortNodeEngine({ threads: Number(threads) });
const { setup, parameters, batches } = readSetup(file);
const { chunk } = setup.model as typeof setup.model & { readonly chunk: number };
const text = batches[0].tokens;
const arrays: Record<string, HostArray> = {};
for (const path in parameters) arrays[path] = parameters[path].data;

const model = { engine, architecture: decodingArchitecture(setup.model), parameters: arrays };
const reader = await createDecoder(model);
const decoders = new Map<number, Decoder>();
for (const position of places.map(Number)) {
  while (reader.position < position) {
    const from = reader.position % text.length;
    await reader.absorb(text.subarray(from, Math.min(text.length, from + position - reader.position)));
  }
  decoders.set(position, await reader.fork());
}

async function decode({ position }: Command): Promise<object> {
  const decoder = await decoders.get(Number(position))?.fork();
  if (decoder === undefined) throw new Error(`position ${position}: expected one of ${places.join(", ")}`);
  const tokens = text.subarray(0, chunk);
  const started = performance.now();
  for (const token of tokens) await decoder.step(token);
  return { milliseconds: performance.now() - started, tokens: tokens.length };
}

async function together({ texts }: Command): Promise<object> {
  const count = Number(texts);
  const decoder = await createBatchDecoder({ ...model, texts: count });
  const next = (at: number) => Array.from({ length: count }, (_, i) => text[at + i]);
  // A whole chunk first: it compiles a step and what closes a chunk.
  for (let at = 0; at < chunk; at++) await decoder.step(next(at));
  const started = performance.now();
  for (let at = 0; at < chunk; at++) await decoder.step(next(at));
  const milliseconds = performance.now() - started;
  await decoder.release();
  return { milliseconds, tokens: count * chunk };
}

await serveCommands({ stateBytes: reader.stateBytes }, { decode, together });
await reader.release();
await engine.close();
