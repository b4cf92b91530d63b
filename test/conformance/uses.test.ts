/**
 * Every way to run a trained model gives the same: the library on the run and on exports of each format, the ONNX graphs of
 * these in onnxruntime by themselves, the PyTorch module, the server. Another way is one more entry in `ways`.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Tensor } from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { weightFormats } from "../../src/config/export-settings.ts";
import type { Decoder } from "../../src/generate/decoder.ts";
import { type GeneratedPiece, generate } from "../../src/generate/generate.ts";
import { exportModel } from "../../src/run/export/export.ts";
import { train } from "../../src/run/train/train.ts";
import { loadModel } from "../../src/run/use/model.ts";
import { readTrained } from "../../src/run/use/trained.ts";
import { serve } from "../../src/serve/serve.ts";
import { fill } from "../../src/use/fill.ts";
import { type Body, send } from "../serve/server.ts";
import { expectClose } from "../support/compare.ts";
import { graphDecoder, openGraph, type Products } from "../support/exported-graphs.ts";
import { pythonWithTorch, runTorch, withoutTorch } from "../support/python.ts";

const folder = mkdtempSync(join(tmpdir(), "longhand-uses-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]) => join(folder, names.join("-"));
const CONTEXT = 64;

const data = at("text.txt");
const lines = Array.from({ length: 600 }, (_, i) => `It was line ${i} of a dark night ${(i * 7919) % 1009}.\n`);

async function trained(name: string, settings: Parameters<typeof train>[0]): Promise<void> {
  writeFileSync(data, lines.join(""));
  const small = { context: CONTEXT, batch: 2, vocab: 300, steps: 20, threads: 1 };
  const overrides = { "model.layers": 2, "model.width": 40 };
  await train({ ...small, ...settings, data, out: at(name) }, { overrides });
  for (const weights of weightFormats) await exportModel(at(name), { out: at(name, weights), weights });
}

/** By name: what a way runs, on the folders of a model. */
type Open = (name: string) => Promise<{ readonly decoder: Decoder; close(): Promise<void> }>;

const library =
  (...part: string[]): Open =>
  async (name) => {
    const model = await loadModel(at(name, ...part), { threads: 1 });
    return { decoder: await model.decoders.take(), close: () => model.close() };
  };

const graphs =
  (format: string, prompts: "prefill" | "decode", products: Products = "float32"): Open =>
  async (name) => {
    const decoder = await graphDecoder(at(name, format), { prompts, products });
    return { decoder, close: () => decoder.release() };
  };

/** `as`: the way that it must agree with to 1e-5; others are within `bound` of the run. */
const ways: Readonly<Record<string, { readonly open: Open; readonly as?: string; readonly bound?: number }>> = {
  "the run": { open: library() },
  ...Object.fromEntries(
    weightFormats.flatMap((format) => {
      const own = format === "float32" ? { as: "the run" } : { bound: format === "float16" ? 5e-4 : 5e-3 };
      const exported = `the ${format} export`;
      return [
        [exported, { open: library(format), ...own }],
        [`graphs of ${exported}, token by token`, { open: graphs(format, "decode"), as: exported }],
        [`graphs of ${exported}, prompts in parts`, { open: graphs(format, "prefill"), as: exported }],
      ];
    }),
  ),
  "graphs of the int8 export, as onnxruntime computes them by default": {
    open: graphs("int8", "prefill", "default"),
    as: "the int8 export",
    bound: 5e-3,
  },
};

const WRITTEN = {
  prompt: lines.slice(40, 60).join(""),
  tokens: 80,
  seed: 7,
  topP: 0.95,
  temperatures: [0, 0.8],
} as const;

interface Known {
  /** After some of the tokens, [V] each. */
  readonly logits: readonly Float32Array[];
  readonly losses: Float32Array;
  /** At temperature 0, and at a fixed seed. */
  readonly texts: readonly string[];
}

async function use(decoder: Decoder, name: string): Promise<Known> {
  const { tokenizer } = await readTrained(at(name));
  const [encoded] = await tokenizer.encodeBatch([lines.slice(30, 90).join("")]);
  // Whole parts, single tokens across a border, and a part that does not begin at one.
  const parts = [256, 1, 300, 1, 1, 211, 5];
  const logits: Float32Array[] = [];
  let from = 0;
  for (const part of parts) {
    const tokens = encoded.slice(from, from + part);
    logits.push(Float32Array.from(await (part === 1 ? decoder.step(tokens[0]) : decoder.absorb(tokens))));
    from += part;
  }
  await decoder.reset();
  const losses = await decoder.losses(encoded.slice(0, 600), encoded.slice(1, 601));
  const texts: string[] = [];
  const { temperatures, ...writing } = WRITTEN;
  for (const temperature of temperatures) {
    await decoder.reset();
    const pieces = generate({ decoder, tokenizer, temperature, ...writing });
    texts.push(((await lastOf(pieces)) as Extract<GeneratedPiece, { type: "end" }>).text);
  }
  return { logits, losses, texts };
}

async function lastOf<T>(all: AsyncIterable<T>): Promise<T | undefined> {
  let last: T | undefined;
  for await (const one of all) last = one;
  return last;
}

describe.each(["flash", "mc-tfm++", "performer"])("%s", (name) => {
  const known = new Map<string, Known>();
  beforeAll(() => trained(name, { model: name, ...(name !== "performer" && { chunk: 16 }) } as never), 120_000);

  it.each(Object.keys(ways))("%s", async (way) => {
    const { open, as = "the run", bound = 1e-5 } = ways[way];
    const { decoder, close } = await open(name);
    const own = await use(decoder, name);
    await close();
    known.set(way, own);
    if (way === "the run") expect(own.texts.map(({ length }) => length > 20)).toEqual([true, true]);
    const wanted = known.get(as) as Known;
    for (const [i, row] of own.logits.entries()) {
      expectClose(row, wanted.logits[i], { name: `logits ${i}`, tolerance: bound });
    }
    expectClose(own.losses, wanted.losses, { name: "losses", tolerance: bound });
    if (bound === 1e-5) expect(own.texts).toEqual(wanted.texts);
  });

  it.each(["the run", ...weightFormats.map((format) => `the ${format} export`)])(
    "%s in the server, at once and from a session that was saved",
    async (way) => {
      const path = way === "the run" ? at(name) : at(name, way.split(" ")[1]);
      const options = { models: [path], threads: 1, sessions: at(name, "sessions"), port: 0, graceSeconds: 0 };
      const { prompt, tokens, seed, topP, temperatures } = WRITTEN;
      const fields = { model: basename(path), max_tokens: tokens, seed, top_p: topP };
      const textOf = ({ body }: { readonly body: Body }) => body.choices[0].text;
      const first = await serve(options);
      const written: string[] = [];
      const sessions: string[] = [];
      for (const temperature of temperatures) {
        written.push(textOf(await send(first, "/v1/completions", { ...fields, prompt, temperature })));
        const read = { ...fields, prompt, max_tokens: 0, session: true };
        sessions.push((await send(first, "/v1/completions", read)).body.session);
      }
      await first.close();
      const second = await serve(options);
      for (const [i, temperature] of temperatures.entries()) {
        const more = { ...fields, prompt: "", temperature, session: sessions[i] };
        written.push(textOf(await send(second, "/v1/completions", more)));
      }
      await second.close();
      const { texts } = known.get(way) as Known;
      expect(written).toEqual([...texts, ...texts]);
    },
  );

  it.skipIf(pythonWithTorch === undefined)(`the PyTorch module${withoutTorch}`, async () => {
    const { tokenizer } = await readTrained(at(name));
    const [encoded] = await tokenizer.encodeBatch([lines.slice(30, 90).join("")]);
    const tokens = encoded.slice(0, 256);
    writeFileSync(join(at(name, "float32"), "tokens.json"), JSON.stringify([[[...tokens]]]));
    await runTorch([join(import.meta.dirname, "../support/torch-logits.py"), at(name, "float32")]);
    const bytes = readFileSync(join(at(name, "float32"), "logits-0.bin"));
    const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    const wanted = (known.get("the run") as Known).logits[0]; // after 256 tokens
    expectClose(all.subarray(-wanted.length), wanted, { name: "logits", tolerance: 1e-5 });
  });
});

describe.each(["transformer++", "combiner", "flash-quad"])("%s, whose state grows", (name) => {
  it("scores a window in each format as the library does", async () => {
    await trained(name, { model: name } as never);
    const { tokenizer } = await readTrained(at(name));
    const [encoded] = await tokenizer.encodeBatch([lines.slice(30, 40).join("")]);
    const [tokens, targets] = [0, 1].map((from) => Int32Array.from(encoded.slice(from, from + CONTEXT)));
    for (const format of weightFormats) {
      const { decoder, close } = await library(format)(name);
      const wanted = await decoder.losses(tokens, targets);
      await close();
      const session = await openGraph(at(name, format), "score");
      const { losses } = await session.run({
        tokens: new Tensor("int32", tokens, [CONTEXT]),
        targets: new Tensor("int32", targets, [CONTEXT]),
      });
      await session.release();
      expectClose(losses.data as Float32Array, wanted, { name: format, tolerance: 1e-5 });
    }
  }, 120_000);
});

describe("a masked model", () => {
  beforeAll(() => trained("masked", { chunk: 16, objective: "masked" }), 120_000);

  it.each(weightFormats)("as %s fills the blanks of its graph as the library does", async (format) => {
    const model = await loadModel(at("masked", format), { threads: 1 });
    const { mask } = model.tokenizer.special;
    const text = "It was[MASK] 17 of a[MASK] night";
    const { blanks } = await fill(model, text, { topK: 5 });
    const pieces = await model.tokenizer.encodeBatch(text.split("[MASK]"));
    const ids = pieces.flatMap((piece, i) => (i === 0 ? [...piece] : [mask, ...piece]));
    const places = [...ids.keys()].filter((i) => ids[i] === mask);
    const padded = (values: readonly number[], n: number) =>
      new Tensor(
        "int32",
        Int32Array.from({ length: n }, (_, i) => values[i] ?? 0),
        [n],
      );
    const session = await openGraph(at("masked", format), "fill");
    const { logits } = await session.run({
      tokens: padded(ids, CONTEXT),
      length: padded([ids.length], 1),
      blanks: padded(places, 16),
    });
    const V = model.config.model.vocabSize;
    for (const [i, candidates] of blanks.entries()) {
      const row = (logits.data as Float32Array).slice(i * V, (i + 1) * V);
      const sum = row.reduce((total, logit) => total + Math.exp(logit), 0);
      const probabilities = candidates.map(({ token }) => Math.exp(row[token]) / sum);
      const wanted = candidates.map(({ probability }) => probability);
      expectClose(probabilities, wanted, { name: `blank ${i}`, tolerance: 1e-5 });
    }
    await session.release();
    await model.close();
  });
});
