/** Generation with scripted logits (stop strings, characters, reasons to stop) and with a small real model (seeds). */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseModelConfig } from "../models/config.ts";
import { decodingArchitecture } from "../models/decoding.ts";
import { initialise } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { createDecoder, type Decoder } from "./decoder.ts";
import { type Generated, type GeneratedPiece, type GenerateOptions, generate } from "./generate.ts";

/** Ids 0, 1, 2 are special, 3 … 258 the bytes, then the given tokens. */
function byteTokenizer(tokens: readonly string[] = []) {
  const encoder = new TextEncoder();
  const bytesOf = (id: number) =>
    id < 3 ? new Uint8Array() : id < 259 ? Uint8Array.of(id - 3) : encoder.encode(tokens[id - 259]);
  return {
    vocabSize: 259 + tokens.length,
    special: { endOfText: 0, padding: 1, mask: 2 },
    encode: async (text: string) => Int32Array.from(encoder.encode(text), (byte) => byte + 3),
    bytesOf,
  };
}
const END = 0;
const bytes = (text: string) => [...new TextEncoder().encode(text)].map((byte) => byte + 3);

/** A decoder that makes one token after the other of a script the likeliest by far, padding and mask likelier still. */
function scripted(script: readonly number[], vocabSize = 400): Decoder & { readonly read: number[] } {
  const read: number[] = [];
  let next = 0;
  const logits = () => {
    const row = new Float32Array(vocabSize);
    row[script[next++]] = 200;
    row.fill(500, 1, 3);
    row.fill(500, 300); // beyond the tokenizer's vocabulary
    return row;
  };
  return {
    vocabSize,
    maxLength: 100,
    stateBytes: 0,
    read,
    get position() {
      return read.length;
    },
    async absorb(tokens) {
      read.push(...Array.from(tokens));
      return logits();
    },
    async step(token) {
      read.push(token);
      return logits();
    },
    losses: () => Promise.reject(new Error("not scripted")),
    fork: () => Promise.reject(new Error("not scripted")),
    reset: () => Promise.reject(new Error("not scripted")),
    release: () => Promise.resolve(),
  };
}

async function collect(options: GenerateOptions): Promise<{ pieces: string[]; end: Generated }> {
  const pieces: string[] = [];
  let end: Generated | undefined;
  for await (const piece of generate(options) as AsyncIterable<GeneratedPiece>) {
    expect(end, "nothing follows the record").toBeUndefined();
    if (piece.type === "end") end = piece;
    else pieces.push(piece.text);
  }
  if (!end) throw new Error("no record came");
  expect(pieces.join("")).toBe(end.text);
  return { pieces, end };
}

describe("generate", () => {
  const words = ["Call", " me", " Ish", "mael", ". Some", " END"];
  const tokenizer = byteTokenizer(words);
  const word = (text: string) => 259 + words.indexOf(text);
  const script = [word("Call"), word(" me"), word(" Ish"), word("mael"), word(". Some"), END];
  const base = { tokenizer, prompt: "x", tokens: 50 };

  it("streams pieces and ends with the end of the text", async () => {
    const decoder = scripted(script);
    const { pieces, end } = await collect({ ...base, decoder });
    expect(pieces).toEqual(["Call", " me", " Ish", "mael", ". Some"]);
    expect(end).toMatchObject({ text: "Call me Ishmael. Some", tokens: 5, stopReason: "end" });
    expect(end.tokensPerSecond).toBeGreaterThan(0);
    expect(decoder.read).toEqual([...bytes("x"), ...script.slice(0, -1)]);
  });

  it("ends after the number of tokens, without reading the last", async () => {
    const decoder = scripted(script);
    expect((await collect({ ...base, decoder, tokens: 2 })).end).toMatchObject({
      text: "Call me",
      tokens: 2,
      stopReason: "length",
    });
    expect(decoder.read).toEqual([...bytes("x"), word("Call")]);
    const { end } = await collect({ ...base, decoder: scripted(script), tokens: 1 });
    expect(end.tokensPerSecond).toBeGreaterThan(0);
  });

  it("starts an empty prompt after the end of a text", async () => {
    const decoder = scripted(script);
    await collect({ ...base, decoder, prompt: "", tokens: 1 });
    expect(decoder.read).toEqual([END]);
  });

  it.each([
    [["Ishmael"], "Call me ", ["Call", " me", " "]], // over a token border
    [["me Ish"], "Call ", ["Call", " "]],
    [["ll"], "Ca", ["Ca"]], // inside the first
    [["nothing", "l. S"], "Call me Ishmae", ["Cal", "l me", " Ish", "mae"]], // an l may begin "l. S"
    [["Some more"], "Call me Ishmael. Some", ["Call", " me", " Ish", "mael", ". ", "Some"]], // held back, then let out
  ])("stops before %j", async (stop, text, pieces) => {
    const result = await collect({ ...base, decoder: scripted(script), stop });
    expect(result.end.text).toBe(text);
    expect(result.pieces).toEqual(pieces);
    expect(result.end.stopReason).toBe(stop[0] === "Some more" ? "end" : "stop");
  });

  it("returns whole characters only", async () => {
    const text = "a🐋é";
    const { pieces } = await collect({ ...base, decoder: scripted([...bytes(text), END]) });
    expect(pieces).toEqual(["a", "🐋", "é"]);
    const broken = await collect({ ...base, decoder: scripted([...bytes(text).slice(0, 3), END]) });
    expect(broken.end.text).toBe("a\ufffd");
    const stop = await collect({ ...base, decoder: scripted([...bytes("a🐋b🐟"), END]), stop: ["b🐟"] });
    expect(stop.pieces).toEqual(["a", "🐋"]);
  });

  it("stops when the signal is aborted", async () => {
    const controller = new AbortController();
    const seen: GeneratedPiece[] = [];
    for await (const piece of generate({ ...base, decoder: scripted(script), signal: controller.signal })) {
      seen.push(piece);
      if (seen.length === 2) controller.abort();
    }
    expect(seen.at(-1)).toMatchObject({ type: "end", text: "Call me", stopReason: "aborted" });
    const { end } = await collect({ ...base, decoder: scripted(script), signal: AbortSignal.abort() });
    expect(end).toMatchObject({ text: "", tokens: 0, tokensPerSecond: 0, stopReason: "aborted" });
  });

  it("measures the text when asked to", async () => {
    const { end } = await collect({ ...base, decoder: scripted(script), statistics: true });
    const [stretch, ...others] = end.statistics ?? [];
    expect(others).toEqual([]);
    expect(stretch).toMatchObject({ from: 0, to: 5, repeated: Number.NaN });
    expect(stretch.modelEntropy).toBeLessThan(1e-6); // one token is likelier by far, once padding and mask are left out
    expect(stretch.sampledEntropy).toBeLessThan(1e-6);
    expect((await collect({ ...base, decoder: scripted(script) })).end).not.toHaveProperty("statistics");
  });

  it("applies the repetition penalty to the prompt, and no longer outside the window", async () => {
    const [a, b] = [word("Call"), word(" me")];
    const penalty = { temperature: 0, repetitionPenalty: 1e6 };
    // Every step makes `a` likeliest and `b` second.
    const decoder = () => {
      const row = new Float32Array(400);
      row[a] = 3;
      row[b] = 2;
      const made = scripted([]);
      return { ...made, position: 0, absorb: async () => row, step: async () => row };
    };
    const text = async (options: Partial<GenerateOptions>) =>
      (await collect({ ...base, decoder: decoder(), tokens: 4, stop: [], ...penalty, ...options })).end.text;
    expect(await text({ repetitionPenalty: 1 })).toBe("CallCallCallCall");
    expect(await text({ repetitionWindow: 1 })).toBe("Call meCall me");
    const encode = async () => Int32Array.of(a);
    expect(await text({ tokenizer: { ...tokenizer, encode }, repetitionWindow: 1 })).toBe(" meCall meCall");
  });

  it("does not put off the end of a text for the one before it", async () => {
    const row = new Float32Array(400).fill(-1);
    row[END] = 3;
    const decoder = { ...scripted([]), position: 0, absorb: async () => row, step: async () => row };
    const { end } = await collect({ ...base, prompt: "", decoder, temperature: 0, repetitionPenalty: 1e6 });
    expect(end).toMatchObject({ tokens: 0, stopReason: "end" });
  });

  it("refuses wrong options at once", () => {
    const wrong = (options: Partial<GenerateOptions>) => () =>
      generate({ ...base, decoder: scripted(script), ...options });
    expect(wrong({ tokens: 0 })).toThrow("`tokens`: expected a whole number of 1 or more, got 0");
    expect(wrong({ seed: -1 })).toThrow("`seed`: expected a whole number of 0 or more, got -1");
    expect(wrong({ topK: 0 })).toThrow("`topK`");
    expect(wrong({ stop: [""] })).toThrow("`stop`");
    expect(wrong({ decoder: scripted(script, 100) })).toThrow("expected at most the model's 100 tokens, got 265");
  });

  it("refuses more tokens than a model with a maximum length can read", async () => {
    const request = { ...base, decoder: scripted(script), prompt: "x".repeat(60) };
    await expect(collect({ ...request, tokens: 42 })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("`tokens`: 42 after 60 tokens of prompt exceed the 100"),
    });
    await expect(collect({ ...request, tokens: 42 })).rejects.toThrow("ask for at most 41");
    await expect(collect({ ...request, prompt: "x".repeat(101) })).rejects.toThrow("use a shorter prompt");
    expect((await collect({ ...request, tokens: 41 })).end.stopReason).toBe("end");
  });
});

describe("generate with a model", () => {
  const config = parseModelConfig({
    architecture: "flash",
    vocabSize: 262,
    width: 16,
    layers: 2,
    shared: 8,
    chunk: 8,
    maxLength: 64,
  });
  const engine = ortNodeEngine({ threads: 2 });
  let decoder: Decoder;
  beforeAll(async () => {
    const architecture = decodingArchitecture(config);
    const values = Object.entries(initialise(architecture.parameters, 1));
    const parameters = Object.fromEntries(values.map(([path, { data }]) => [path, data]));
    decoder = await createDecoder({ engine, architecture, parameters });
  });
  afterAll(() => engine.close());

  const write = async (options: Partial<GenerateOptions>) => {
    await decoder.reset();
    return (await collect({ decoder, tokenizer: byteTokenizer(), prompt: "It was", tokens: 40, ...options })).end;
  };

  it("is determined by the seed", async () => {
    const first = await write({ seed: 7 });
    expect((await write({ seed: 7 })).text).toBe(first.text);
    expect((await write({ seed: 8 })).text).not.toBe(first.text);
    expect((await write({ seed: 8, temperature: 0 })).text).toBe((await write({ temperature: 0 })).text);
  });

  it("is determined by the seed with every option, and the same whether it is measured or not", async () => {
    const options = { seed: 5, topP: 0.9, minP: 0.02, typicalP: 0.9, repetitionPenalty: 1.2, repetitionWindow: 10 };
    const first = await write(options);
    expect((await write(options)).text).toBe(first.text);
    const measured = await write({ ...options, statistics: true });
    expect(measured.text).toBe(first.text);
    expect(measured.statistics).toMatchObject([{ from: 0, to: 40 }]);
    const [{ modelEntropy, sampledEntropy }] = measured.statistics ?? [];
    expect(modelEntropy).toBeGreaterThan(sampledEntropy);
    expect(sampledEntropy).toBeGreaterThan(0);
  });

  it("generates the beginning of the same text when asked for less", async () => {
    const long = await write({ seed: 3, tokens: 40, topK: 20 });
    const short = await write({ seed: 3, tokens: 20, topK: 20 });
    expect(long.text.startsWith(short.text.replace(/\ufffd+$/, ""))).toBe(true);
  });

  it("continues from the decoder's position", async () => {
    const whole = await write({ prompt: "It was a whale", seed: 1 });
    await decoder.reset();
    await decoder.absorb(bytes("It was"));
    const rest = { decoder, tokenizer: byteTokenizer(), prompt: " a whale", tokens: 40, seed: 1 };
    expect((await collect(rest)).end.text).toBe(whole.text);
  });
});
