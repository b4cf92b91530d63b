/** The server through OpenAI's own client, as it is. */
import OpenAI, { AuthenticationError, BadRequestError, NotFoundError } from "openai";
import { beforeAll, describe, expect, it } from "vitest";
import { loadModel } from "../../src/run/use/model.ts";
import type { Server } from "../../src/serve/serve.ts";
import { generate } from "../../src/use/generate.ts";
import { servers, trainedModels } from "./server.ts";

const { book } = trainedModels();
const start = servers();
let server: Server;
let client: OpenAI;

beforeAll(async () => {
  server = await start({ models: [book], key: "secret" });
  client = new OpenAI({ baseURL: `${server.address}/v1`, apiKey: "secret", maxRetries: 0 });
}, 60_000);

/** So likely that a model which has learnt little writes whole characters. */
const likely = { temperature: 0.3 };
const few = { model: "book", prompt: "It was", max_tokens: 20, seed: 3 };

/** What the library writes with the same settings. */
async function written(prompt: string, settings: object): Promise<string> {
  const model = await loadModel(book);
  let text = "";
  const options = { tokens: 20, temperature: 1, topP: 1, seed: 3, ...settings };
  for await (const piece of generate(model, { prompt, ...options })) if (piece.type === "end") text = piece.text;
  await model.close();
  return text;
}

describe("completions", () => {
  it("are what the library writes with the same seed, whole and streamed", async () => {
    const whole = await client.completions.create(few);
    expect(whole.choices[0].text).toBe(await written("It was", {}));
    expect(whole).toMatchObject({ object: "text_completion", model: "book" });
    expect(whole.usage).toMatchObject({ completion_tokens: 20, total_tokens: (whole.usage?.prompt_tokens ?? 0) + 20 });
    let text = "";
    let finish: string | null = null;
    const stream = await client.completions.create({ ...few, stream: true });
    for await (const chunk of stream) {
      text += chunk.choices[0].text;
      finish = chunk.choices[0].finish_reason;
    }
    expect([text, finish]).toEqual([whole.choices[0].text, "length"]);
  });

  it("take the likeliest token at temperature 0, whatever the seed", async () => {
    const texts = await Promise.all([1, 2].map((seed) => client.completions.create({ ...few, seed, temperature: 0 })));
    const text = await written("It was", { temperature: 0 });
    expect(texts.map(({ choices }) => choices[0].text)).toEqual([text, text]);
  });

  it("take several prompts, as texts and as tokens, and write n of each", async () => {
    const { choices, usage } = await client.completions.create({ ...few, prompt: ["It was", "The whale"], n: 2 });
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(choices[0].text).toBe(await written("It was", {}));
    expect(choices[2].text).toBe(await written("The whale", {}));
    expect(new Set(choices.map(({ text }) => text)).size).toBe(4);
    expect(usage?.completion_tokens).toBe(80);
    const model = await loadModel(book);
    const prompt = [...(await model.tokenizer.encode("It was"))];
    await model.close();
    expect((await client.completions.create({ ...few, prompt })).choices[0].text).toBe(choices[0].text);
    expect((await client.completions.create({ ...few, prompt: "" })).choices[0].text).toBe(await written("", {}));
  });

  it("end before a stop string, also where it comes in pieces", async () => {
    const { text } = (await client.completions.create(few)).choices[0];
    const stop = text.slice(10, 13);
    const { choices } = await client.completions.create({ ...few, stop: ["never to be seen", stop] });
    expect(choices[0]).toMatchObject({ text: text.slice(0, text.indexOf(stop)), finish_reason: "stop" });
    let streamed = "";
    for await (const chunk of await client.completions.create({ ...few, stop, stream: true }))
      streamed += chunk.choices[0].text;
    expect(streamed).toBe(choices[0].text);
  });

  it("tell tokens with their log-probabilities, of the prompt too, and where they begin", async () => {
    const options = { ...few, ...likely, prompt: "It was a ship", logprobs: 3, echo: true } as const;
    const { text, logprobs } = (await client.completions.create(options)).choices[0];
    expect(text.startsWith("It was a ship")).toBe(true);
    const { tokens = [], token_logprobs = [], top_logprobs = [], text_offset = [] } = logprobs ?? {};
    expect(tokens.join("")).toBe(text);
    expect(token_logprobs[0]).toBeNull();
    for (const [i, value] of token_logprobs.entries()) {
      expect(text.slice(text_offset[i], text_offset[i] + tokens[i].length)).toBe(tokens[i]);
      if (i === 0) continue;
      expect(value).toBeLessThan(0);
      expect(top_logprobs[i][tokens[i]]).toBe(value);
      expect(Math.max(...Object.values(top_logprobs[i]))).toBeGreaterThanOrEqual(value as number);
    }
    // Without the echo: the same tokens of the continuation.
    const alone = (await client.completions.create({ ...options, echo: false })).choices[0].logprobs;
    const from = tokens.length - 20;
    expect(alone?.tokens).toEqual(tokens.slice(from));
    for (const [i, value] of (alone?.token_logprobs ?? []).entries())
      expect(value).toBeCloseTo(token_logprobs[from + i], 4);
    const scored = await client.completions.create({ ...options, max_tokens: 0 });
    expect(scored.choices[0]).toMatchObject({ text: "It was a ship", finish_reason: "length" });
    expect(scored.choices[0].logprobs?.tokens).toEqual(tokens.slice(0, from));
  });

  it("stream log-probabilities with the text that they belong to", async () => {
    const whole = (await client.completions.create({ ...few, ...likely, logprobs: 1 })).choices[0];
    let text = "";
    const tokens: string[] = [];
    for await (const chunk of await client.completions.create({ ...few, ...likely, logprobs: 1, stream: true })) {
      text += chunk.choices[0].text;
      tokens.push(...(chunk.choices[0].logprobs?.tokens ?? []));
      expect(text.startsWith(tokens.join("").slice(0, text.length))).toBe(true);
    }
    expect(tokens).toEqual(whole.logprobs?.tokens);
  });

  it("tell no token that begins after a stop string", async () => {
    const options = { ...few, ...likely, logprobs: 0 } as const;
    const { text } = (await client.completions.create(options)).choices[0];
    const stop = text.slice(7, 9);
    const stopped = (await client.completions.create({ ...options, stop })).choices[0];
    expect(stopped.text).toBe(text.slice(0, text.indexOf(stop)));
    const { tokens = [], text_offset = [] } = stopped.logprobs ?? {};
    expect(tokens.join("").startsWith(stopped.text)).toBe(true);
    for (const offset of text_offset) expect(offset).toBeLessThan(stopped.text.length);
  });

  it("follow logit_bias and penalties", async () => {
    const model = await loadModel(book);
    const [token] = await model.tokenizer.encode("e");
    await model.close();
    const biased = await client.completions.create({ ...few, logit_bias: { [token]: 100 } });
    expect(biased.choices[0].text).toBe("e".repeat(20));
    const greedy = { ...few, temperature: 0, max_tokens: 60, logprobs: 0 } as const;
    const distinct = async (fields: object) =>
      new Set((await client.completions.create({ ...greedy, ...fields })).choices[0].logprobs?.tokens).size;
    const free = await distinct({});
    expect(await distinct({ presence_penalty: 2, frequency_penalty: 2 })).toBeGreaterThan(free);
    expect(await distinct({ repetition_penalty: 3 })).toBeGreaterThan(free);
  });

  it("tell their usage at the end of a stream where asked to", async () => {
    const chunks: OpenAI.Completion[] = [];
    const stream = await client.completions.create({ ...few, stream: true, stream_options: { include_usage: true } });
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 20 } });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });
});

describe("other calls", () => {
  it("list the model", async () => {
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toEqual(["book"]);
    expect(await client.models.retrieve("book")).toMatchObject({ id: "book", object: "model" });
  });

  it("give embeddings: the same as numbers and packed, nearer for texts that are alike", async () => {
    const input = ["the white whale", "the whale white", "0123456789 @@ ##"];
    const packed = await client.embeddings.create({ model: "book", input });
    const plain = await client.embeddings.create({ model: "book", input, encoding_format: "float" });
    expect(packed.data).toEqual(plain.data);
    const [a, b, c] = packed.data.map(({ embedding }) => embedding);
    expect(a).toHaveLength(32);
    const cosine = (x: number[], y: number[]) => {
      const dot = (p: number[], q: number[]) => p.reduce((sum, value, i) => sum + value * q[i], 0);
      return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
    };
    expect(cosine(a, b)).toBeGreaterThan(cosine(a, c));
  });

  it("fail in classes of the client's", async () => {
    await expect(client.completions.create({ ...few, model: "other" })).rejects.toThrow(NotFoundError);
    await expect(client.completions.create({ ...few, temperature: -1 })).rejects.toThrow(BadRequestError);
    const stranger = new OpenAI({ baseURL: `${server.address}/v1`, apiKey: "guess", maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toThrow(AuthenticationError);
  });
});
