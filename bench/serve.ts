/**
 * The server at work: one stream and eight together, what the server itself costs, a session of 100,000 tokens that goes on,
 * a prompt of 100,000 tokens against evaluation of as many; and one text at far positions beside Transformer++ with its
 * cache, by decoders alone. The models are trained for one step: speed does not depend on what they have learnt.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { settle, turns } from "../reproduce/process.ts";
import { ratios, type Spread, spread } from "../reproduce/statistics.ts";
import type { PresetName } from "../src/models/presets.ts";
import { train } from "../src/run/train/train.ts";
import { evaluate } from "../src/run/use/evaluate.ts";
import { loadModel } from "../src/run/use/model.ts";
import { type Server, serve } from "../src/serve/serve.ts";
import { corpusDocuments } from "./data-corpus.ts";
import { threads } from "./longhand.ts";
import { type FarPositions, measureFar } from "./serve-far.ts";

export interface ServeReport {
  readonly preset: PresetName;
  readonly threads: number;
  /** Of one stream. */
  readonly tokens: number;
  readonly one: Spread;
  readonly eight: Spread;
  /** Of all eight against one, round by round. */
  readonly ratio: Spread;
  /** Shares of one stream's time: choosing tokens and turning them into text; and what else is not the engine's. */
  readonly choosingShare: Spread;
  readonly ownShare: Spread;
  readonly session: { readonly position: number; readonly firstTokenMilliseconds: Spread };
  /** Tokens a second of a long prompt, of evaluation, and their quotient. */
  readonly prompt: {
    readonly tokens: number;
    readonly perSecond: Spread;
    readonly evaluation: Spread;
    readonly ratio: Spread;
  };
  readonly far: FarPositions;
}

interface ServeBenchOptions {
  readonly rounds: number;
  readonly preset: PresetName;
  readonly note: (text: string) => void;
}

const TOKENS = 256;
const STREAMS = 8;
const LONG = 100_000;

export async function benchServe({ rounds, preset, note }: ServeBenchOptions): Promise<ServeReport> {
  const folder = mkdtempSync(join(tmpdir(), "longhand-bench-"));
  try {
    const data = join(folder, "text.txt");
    const text = (await corpusDocuments(undefined)).join("\n").slice(0, 2_000_000);
    writeFileSync(data, text);
    const common = { data, preset, vocab: 8192, steps: 1, batch: 1, threads: threads(), evalTokens: 1000 };
    note("serve: preparing models");
    for (const model of ["flash", "transformer++"] as const)
      await train({ ...common, model, out: join(folder, model) });
    const far = await measureFar(folder, { rounds, note });
    const run = join(folder, "flash");
    const server = await serve({ models: [run], port: 0, batch: STREAMS, promptTokens: 2 * LONG, prefixMegabytes: 0 });
    try {
      const streams = await measureStreams(server, rounds, note);
      const long = await measureLong(server, run, text, rounds, note);
      return { preset, threads: threads(), tokens: TOKENS, ...streams, ...long, far };
    } finally {
      await server.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureStreams(server: Server, rounds: number, note: (text: string) => void) {
  const rates = [[], []] as [number[], number[]];
  const [choosing, own] = [[] as number[], [] as number[]];
  const writeAll = async (count: number) => {
    const begun = performance.now();
    await Promise.all(Array.from({ length: count }, (_, i) => streamed(server, i)));
    return (performance.now() - begun) / 1000;
  };
  await writeAll(STREAMS); // compiles
  for (let round = 0; round < rounds; round++) {
    for (const turn of turns(2, round)) {
      await settle();
      const count = turn === 0 ? 1 : STREAMS;
      const before = await counted(server);
      const seconds = await writeAll(count);
      rates[turn].push((count * TOKENS) / seconds);
      await settle(); // what is counted is told four times a second
      await settle();
      if (turn !== 0) continue;
      const after = await counted(server);
      const decode = after.decode - before.decode;
      choosing.push((decode - (after.engine - before.engine)) / seconds);
      own.push(1 - decode / seconds);
    }
    note(`serve: streams, round ${round + 1} of ${rounds}`);
  }
  const [one, eight] = rates;
  const shares = { choosingShare: spread(choosing), ownShare: spread(own) };
  return { one: spread(one), eight: spread(eight), ratio: spread(ratios(eight, one)), ...shares };
}

async function measureLong(server: Server, run: string, text: string, rounds: number, note: (text: string) => void) {
  const model = await loadModel(run);
  const tokens = (await model.tokenizer.encode(text.slice(0, 8 * LONG))).subarray(0, LONG);
  const part = join(run, "..", "long.txt");
  writeFileSync(part, await model.tokenizer.decode(tokens));
  const few = Math.max(1, Math.round(rounds / 3));
  const [perSecond, evaluation, first] = [[] as number[], [] as number[], [] as number[]];
  let session = "";
  for (let round = 0; round < few; round++) {
    for (const turn of turns(2, round)) {
      await settle();
      const begun = performance.now();
      if (turn === 0) {
        const fields = { prompt: [...tokens], max_tokens: 0, session: true };
        session = ((await (await post(server, fields)).json()) as { session: string }).session;
      } else await evaluate(model, { data: part });
      (turn === 0 ? perSecond : evaluation).push((1000 * LONG) / (performance.now() - begun));
    }
    note(`serve: long prompt, round ${round + 1} of ${few}`);
  }
  await model.close();
  for (let round = 0; round < Math.max(5, rounds); round++) {
    await settle();
    const begun = performance.now();
    const response = await post(server, { prompt: "", max_tokens: 2, session, stream: true });
    await response.body?.getReader().read();
    first.push(performance.now() - begun);
    await settle();
  }
  return {
    session: { position: LONG, firstTokenMilliseconds: spread(first) },
    prompt: {
      ...{ tokens: LONG, perSecond: spread(perSecond), evaluation: spread(evaluation) },
      ratio: spread(ratios(perSecond, evaluation)),
    },
  };
}

/** The end of text is never chosen, so that every stream has its length. */
const post = (server: Server, fields: object) =>
  fetch(`${server.address}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "flash", logit_bias: { 0: -100 }, ...fields }),
  });

async function streamed(server: Server, seed: number): Promise<void> {
  const response = await post(server, { prompt: "It was", max_tokens: TOKENS, seed, stream: true });
  const text = await response.text();
  if (!text.endsWith("data: [DONE]\n\n")) throw new Error(`the stream ended early: ${text.slice(-200)}`);
}

/** Seconds of steps so far: of all, and of the engine. */
async function counted(server: Server): Promise<{ readonly decode: number; readonly engine: number }> {
  const text = await (await fetch(`${server.address}/metrics`)).text();
  const read = (name: string) =>
    Number(new RegExp(`^longhand_${name}_seconds_total\\{.*\\} (.*)$`, "m").exec(text)?.[1]);
  return { decode: read("decode"), engine: read("engine") };
}
