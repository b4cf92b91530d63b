/**
 * One side of bench/peer.ts as a measured process, writing the likeliest token at every step: `peer-worker.ts longhand PRESET
 * THREADS`, or `peer-worker.ts peer FILE THREADS` with a GGUF file. "read" { position } reads made-up tokens up to there,
 * "write" { tokens } writes so many more.
 */
import { madeUpTokens } from "../reproduce/made-up-tokens.ts";
import { serveCommands } from "../reproduce/serve.ts";
import { randomKey } from "../src/base/random.ts";
import { createDecoder } from "../src/generate/decoder.ts";
import { Sampler } from "../src/generate/sampling.ts";
import { parseModelConfig } from "../src/models/config.ts";
import { decodingArchitecture } from "../src/models/decoding.ts";
import { parametersOf } from "../src/models/language-model.ts";
import { type PresetName, presetModel } from "../src/models/presets.ts";
import { initialise } from "../src/nn/scope.ts";
import { ortNodeEngine } from "../src/runtime/ort-node.ts";
import { PEER, PEER_CONTEXT, PEER_VOCABULARY } from "./peer.ts";

interface Writer {
  readonly position: () => number;
  read(tokens: Int32Array): Promise<void>;
  write(count: number): Promise<void>;
  close(): Promise<void>;
}

async function longhandWriter(preset: PresetName, threads: number): Promise<Writer> {
  const fields = presetModel("flash", preset, { context: 1024 });
  const config = parseModelConfig({ ...fields, vocabSize: PEER_VOCABULARY });
  const engine = ortNodeEngine({ threads });
  const values = Object.entries(initialise(parametersOf(config), 1)).map(([path, { data }]) => [path, data] as const);
  const parameters = Object.fromEntries(values);
  const decoder = await createDecoder({ engine, architecture: decodingArchitecture(config), parameters });
  const sampler = new Sampler(PEER_VOCABULARY, { temperature: 0 });
  let logits = new Float32Array(PEER_VOCABULARY);
  return {
    position: () => decoder.position,
    async read(tokens) {
      logits = new Float32Array(await decoder.absorb(tokens));
    },
    async write(count) {
      for (let i = 0; i < count; i++) logits = (await decoder.step(sampler.choose(logits, 0))) as typeof logits;
    },
    close: () => engine.close(),
  };
}

/** What is used of the peer, which is no dependency. */
interface Peer {
  getLlama(options: object): Promise<{
    loadModel(options: object): Promise<{
      createContext(options: object): Promise<{
        getSequence(): {
          readonly nextTokenIndex: number;
          evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
          evaluate(tokens: readonly number[], options: object): AsyncGenerator<number>;
        };
      }>;
    }>;
    dispose(): Promise<void>;
  }>;
}

async function peerWriter(modelPath: string, threads: number): Promise<Writer> {
  const { getLlama } = (await import(PEER)) as Peer;
  const quiet = { progressLogs: false, logLevel: "error", skipDownload: true };
  const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads, ...quiet });
  const model = await llama.loadModel({ modelPath });
  const context = await model.createContext({ contextSize: PEER_CONTEXT, threads });
  const sequence = context.getSequence();
  let last = 0;
  return {
    position: () => sequence.nextTokenIndex,
    async read(tokens) {
      await sequence.evaluateWithoutGeneratingNewTokens([...tokens.subarray(0, -1)]);
      last = tokens[tokens.length - 1];
    },
    async write(count) {
      const written = sequence.evaluate([last], { temperature: 0, yieldEogToken: true });
      for (let i = 0; i < count; i++) {
        const { value, done } = await written.next();
        if (done) throw new Error("the peer ended its text");
        last = value;
      }
      await written.return(undefined);
    },
    close: () => llama.dispose(),
  };
}

const [side, model, threads] = process.argv.slice(2);
const writer = await (side === "peer" ? peerWriter : longhandWriter)(model as PresetName, Number(threads));
const text = madeUpTokens(randomKey(4, "peer"), PEER_VOCABULARY, PEER_CONTEXT);

async function timed(work: () => Promise<void>): Promise<object> {
  const begun = performance.now();
  await work();
  return { milliseconds: performance.now() - begun, residentBytes: process.memoryUsage.rss() };
}

await serveCommands(
  {},
  {
    read: ({ position }) => timed(() => writer.read(text.subarray(writer.position(), Number(position)))),
    write: ({ tokens }) => timed(() => writer.write(Number(tokens))),
  },
);
await writer.close();
