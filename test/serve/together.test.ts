/** Many requests at a time: what each gets does not depend on the others, and nobody waits for a long prompt. */
import { beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../../src/serve/serve.ts";
import { complete, metric, send, servers, trainedModels, until } from "./server.ts";

const { folder, book } = trainedModels("transformer++");
const start = servers();
const prompts = ["It was", "The whale", "Call me Ishmael. ".repeat(40), "", "sea", "ship ".repeat(70), "A", "Captain"];

describe.each([true, false])("eight texts together, exact: %s", (exact) => {
  let server: Server;
  beforeAll(async () => {
    server = await start({ models: [book], batch: 8, exact });
  }, 60_000);

  it("are those that each would be alone", async () => {
    const fields = prompts.map((prompt, i) => ({ prompt, seed: i, max_tokens: 40 + 5 * i, temperature: i % 2 }));
    const alone: string[] = [];
    for (const own of fields) alone.push((await complete(server, own)).choices[0].text);
    const together = await Promise.all(fields.map((own) => complete(server, own)));
    expect(together.map(({ choices }) => choices[0].text)).toEqual(alone);
  });

  it("have the same log-probabilities to the last bit where it is exact", async () => {
    const fields = prompts.map((prompt, i) => ({ prompt, seed: i, max_tokens: 20, logprobs: 0 }));
    const alone: (number | null)[][] = [];
    for (const own of fields) alone.push((await complete(server, own)).choices[0].logprobs.token_logprobs);
    const together = await Promise.all([...fields].reverse().map((own) => complete(server, own)));
    const values = together.reverse().map(({ choices }) => choices[0].logprobs.token_logprobs);
    if (exact) expect(values).toEqual(alone);
    for (const [i, own] of values.entries())
      for (const [k, value] of own.entries()) expect(value).toBeCloseTo(alone[i][k] as number, 4);
  });
});

describe("a transformer, whose state grows", () => {
  it("writes texts of many lengths together as alone", async () => {
    const server = await start({ models: [`${folder}/transformer++`], batch: 8 });
    const fields = prompts.map((prompt, i) => ({
      ...{ model: "transformer++", prompt: prompt.slice(0, 150), seed: i, max_tokens: 10 + i },
    }));
    const alone: string[] = [];
    for (const own of fields) alone.push((await complete(server, own)).choices[0].text);
    const together = await Promise.all(fields.map((own) => complete(server, own)));
    expect(together.map(({ choices }) => choices[0].text)).toEqual(alone);
    const { status, body } = await send(server, "/v1/completions", { ...fields[0], max_tokens: 8000 });
    if (status !== 200) expect(body.error).toMatchObject({ code: "context_length_exceeded" });
  });
});

describe("a long prompt", () => {
  it("keeps neither other texts nor the health check waiting", async () => {
    const server = await start({ models: [book], prefixMegabytes: 0 });
    const long = complete(server, {
      prompt: "The whale is a fish of the sea, and it swims. ".repeat(6000),
      max_tokens: 1,
    });
    let done = false;
    void long.finally(() => {
      done = true;
    });
    const waits: number[] = [];
    let others = 0;
    while (!done) {
      const begun = performance.now();
      expect((await fetch(`${server.address}/healthz`)).status).toBe(200);
      waits.push(performance.now() - begun);
      await complete(server, { max_tokens: 5 });
      if (!done) others++;
    }
    expect((await long).usage.prompt_tokens).toBeGreaterThan(60_000);
    expect(others).toBeGreaterThan(3); // each was read and written while the long one was read
    waits.sort((a, b) => a - b);
    expect(waits[waits.length >> 1]).toBeLessThan(100); // milliseconds, on a busy machine
  });
});

describe("a client that leaves", () => {
  it.each([true, false])("frees its place, stream: %s", async (stream) => {
    const server = await start({ models: [book], batch: 1, mostTokens: 1_000_000 });
    const controller = new AbortController();
    const body = JSON.stringify({
      model: "book",
      prompt: "It was",
      max_tokens: 1_000_000,
      stream,
      logit_bias: { 0: -100 },
    });
    const headers = { "content-type": "application/json" };
    const left = fetch(`${server.address}/v1/completions`, {
      method: "POST",
      headers,
      body,
      signal: controller.signal,
    });
    if (stream) await (await left).body?.getReader().read();
    else await until(async () => (await metric(server, "active_texts")) === 1);
    controller.abort();
    await left.catch(() => undefined);
    await until(async () => (await metric(server, "active_texts")) === 0);
    expect((await complete(server, { max_tokens: 3 })).usage.completion_tokens).toBe(3);
  });

  it("leaves the queue too", async () => {
    const server = await start({ models: [book], batch: 1, queue: 2, mostTokens: 1_000_000 });
    const controller = new AbortController();
    const endless = { model: "book", prompt: "It was", max_tokens: 1_000_000, logit_bias: { 0: -100 } };
    const headers = { "content-type": "application/json" };
    const begin = () =>
      fetch(`${server.address}/v1/completions`, {
        ...{ method: "POST", headers, body: JSON.stringify(endless), signal: controller.signal },
      }).catch(() => undefined);
    const three = [begin(), begin(), begin()];
    await until(async () => (await metric(server, "waiting_texts")) === 2);
    const refused = await send(server, "/v1/completions", endless);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(refused.body.error).toMatchObject({ type: "rate_limit_error", code: "queue_full" });
    controller.abort();
    await Promise.all(three);
    await until(async () => (await metric(server, "waiting_texts")) === 0);
    expect((await complete(server, { max_tokens: 3 })).usage.completion_tokens).toBe(3);
  });
});

describe("prompts that begin alike", () => {
  const beginning = "The whale is a fish of the sea, and it swims. ".repeat(60);

  it("are read from where they part, with the same bits", async () => {
    const [plain, cached] = await Promise.all([
      start({ models: [book], exact: true, prefixMegabytes: 0 }),
      start({ models: [book], exact: true }),
    ]);
    for (const end of ["", "One", "Two of them, as they were", "", "Another"]) {
      const fields = { prompt: beginning + end, max_tokens: 20, seed: 5, logprobs: 0 };
      const [expected, actual] = await Promise.all([complete(plain, fields), complete(cached, fields)]);
      expect(actual.choices).toEqual(expected.choices);
    }
    const { usage } = await complete(cached, { prompt: beginning, max_tokens: 1 });
    expect(usage.prompt_tokens_details.cached_tokens).toBe(usage.prompt_tokens);
    const other = (await complete(cached, { prompt: `${beginning}A third`, max_tokens: 1 })).usage;
    expect(other.prompt_tokens_details.cached_tokens).toBeGreaterThan(other.prompt_tokens - 300);
    expect(await metric(cached, "prefix_hits_total")).toBeGreaterThan(4);
    expect(await metric(cached, "prefixes")).toBeGreaterThan(0);
    expect(await metric(plain, "prefixes")).toBe(0);
  });

  it("are kept as far as there is room", async () => {
    const server = await start({ models: [book], prefixMegabytes: 1 });
    for (let i = 0; i < 40; i++) await complete(server, { prompt: `${i} ${beginning}`, max_tokens: 1 });
    expect(await metric(server, "prefix_bytes")).toBeLessThanOrEqual(1e6);
    expect(await metric(server, "prefixes")).toBeGreaterThan(0);
  });
});
