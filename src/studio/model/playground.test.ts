/**
 * The playground over HTTP: texts written and taken back, alternatives, attention, blanks and scores of small models.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { sampleText } from "../../../test/cli/command.ts";
import { makeRun } from "../../../test/support/made-up-run.ts";
import { studioUnderTest, TOKEN } from "../../../test/support/studio-app.ts";
import { resume } from "../../run/train/resume.ts";
import { train } from "../../run/train/train.ts";
import { loadModel } from "../../run/use/model.ts";
import { generate } from "../../use/generate.ts";
import type {
  Attention,
  FillAnswer,
  ModelFacts,
  RunQuery,
  ScoreEvent,
  TextAnswer,
  TextToken,
  WriteEvent,
  WriteRequest,
} from "../api.ts";

const { folder, outside, ask, answer, lines, listen } = studioUnderTest();

beforeAll(async () => {
  const data = join(outside, "book.txt");
  writeFileSync(data, sampleText(20_000));
  const size = { context: 64, chunk: 16, batch: 2, vocab: 300, threads: 1, lr: 0.01 };
  const overrides = { "model.layers": 2, "model.width": 32, "model.shared": 16 };
  await train({ data, out: join(folder, "book"), steps: 12, ...size }, { overrides });
  await train({ data, out: join(folder, "masked"), objective: "masked", steps: 2, ...size }, { overrides });
}, 120_000);

const model = (run: string) => answer<ModelFacts>("/api/model", { body: { run } satisfies RunQuery });
const read = (prompt: string, top = 5) => answer<TextAnswer>("/api/text", { body: { run: "book", prompt, top } });
type Token = Extract<WriteEvent, { type: "token" }>;
type End = Extract<WriteEvent, { type: "end" }>;

async function write(request: WriteRequest) {
  const events = await lines<WriteEvent>("/api/write", { body: request });
  return { tokens: events.slice(0, -1) as Token[], end: events.at(-1) as End };
}

const textOf = (tokens: readonly { readonly text: string }[]) => tokens.map(({ text }) => text).join("");

/** Equal but for rounding: the same token may be read alone or with others. */
function expectAlike(actual: readonly TextToken[], expected: readonly TextToken[]) {
  expect(actual.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
  for (const [i, { probability, entropy, alternatives }] of actual.entries()) {
    expect(probability).toBeCloseTo(expected[i].probability as number, 5);
    expect(entropy).toBeCloseTo(expected[i].entropy as number, 4);
    expect(alternatives.map(({ id }) => id)).toEqual(expected[i].alternatives.map(({ id }) => id));
  }
}

describe("the playground", { timeout: 60_000 }, () => {
  it("says what a model is", async () => {
    expect(await model("book")).toEqual({
      ...{ run: "book", objective: "causal", architecture: "flash", step: 12, vocabSize: 300, context: 64 },
      ...{ layers: 2, maxLength: null, attention: true },
    });
    expect((await ask("/api/model", { body: { run: "none" } })).status).toBe(404);
    makeRun(folder, "empty", { taken: 1 });
    const { status, text } = await ask("/api/model", { body: { run: "empty" } });
    expect(status).toBe(409);
    expect(JSON.parse(text).error).toMatch(/empty/);
  });

  it("reads a prompt and says of every token what else there was", async () => {
    const { tokens, next, entropy } = await read("Call me Ishmael. “Né”", 100);
    expect(textOf(tokens.filter(({ text }) => !text.startsWith("bytes:")))).toContain("Call me Ishmael.");
    expect(tokens[0]).toMatchObject({ probability: null, rank: null, entropy: null, alternatives: [] });
    for (const { id, probability, rank, entropy, alternatives } of tokens.slice(1)) {
      expect(alternatives).toHaveLength(100);
      const shares = alternatives.map((own) => own.probability);
      expect(shares).toEqual(shares.toSorted((a, b) => b - a));
      expect(shares.reduce((a, b) => a + b)).toBeLessThanOrEqual(1 + 1e-6);
      expect(entropy).toBeGreaterThan(0);
      expect(entropy).toBeLessThan(Math.log2(300));
      const place = alternatives.findIndex((own) => own.id === id);
      if (place >= 0) expect([rank, probability]).toEqual([place + 1, shares[place]]);
      else expect(rank).toBeGreaterThan(100);
    }
    expect(next[0].probability).toBeGreaterThanOrEqual(next[1].probability);
    expect(entropy).toBeGreaterThan(0);
  });

  it("writes what longhand generate writes", async () => {
    const loaded = await loadModel(join(folder, "book"), { threads: 1 });
    const sampling = { temperature: 0.9, topK: 50, topP: 0.95, seed: 7 };
    let whole = "";
    for await (const piece of generate(loaded, { prompt: "It was", tokens: 40, ...sampling }))
      if (piece.type === "end") whole = piece.text;
    await loaded.close();
    const { text } = await read("It was");
    const { tokens, end } = await write({ text, count: 40, top: 3, ...sampling });
    const bytes = tokens.flatMap(({ token }) => Array.from(bytesOf(token.text)));
    expect(Buffer.from(bytes).toString("utf8")).toBe(whole);
    expect(tokens.map(({ at }) => at)).toEqual(tokens.map((_, i) => tokens[0].at + i));
    expect(end).toMatchObject({ reason: "count", length: tokens[0].at + 40 });
    expect(end.tokensPerSecond).toBeGreaterThan(0);
  });

  it("goes on from an alternative as if it had been written at first, however far back", async () => {
    const prompt = "Call me Ishmael. Some years ago";
    const { text, tokens } = await read(prompt);
    const first = await write({ text, count: 60, temperature: 0, top: 5 });
    for (const keep of [tokens.length + 40, tokens.length + 1, 5]) {
      const before = [...tokens, ...first.tokens.map(({ token }) => token)];
      const { id } = before[keep].alternatives[3];
      const branch = await write({ text, keep, token: id, count: 10, temperature: 0, top: 5 });
      expect(branch.tokens[0]).toMatchObject({ at: keep, token: { id, rank: 4 } });
      const anew = await read("");
      const forced: TextToken[] = [];
      for (const { id } of before.slice(0, keep)) {
        const keepAll = forced.length === 0 ? { keep: 0 } : {};
        forced.push((await write({ text: anew.text, ...keepAll, token: id })).tokens[0].token);
      }
      const again = await write({ text: anew.text, token: id, count: 10, temperature: 0, top: 5 });
      expectAlike(
        branch.tokens.map(({ token }) => token),
        again.tokens.map(({ token }) => token),
      );
      if (keep > tokens.length) await write({ text, keep: tokens.length, count: 60, temperature: 0 }); // as it was
    }
  });

  it("refuses what is not there", async () => {
    const { text, tokens } = await read("Call me");
    const refused: [string, object, number, RegExp][] = [
      ["/api/write", { text, keep: tokens.length + 1 }, 400, /^keep: expected 0 to/],
      ["/api/write", { text, keep: 0, count: 1 }, 400, /at least one token/],
      ["/api/write", { text, token: 300 }, 400, /^token: expected one below 300/],
      ["/api/write", { text, count: 1, temperature: -1 }, 400, /^`temperature`: expected a number of 0 or more/],
      ["/api/write", { text: "999.1", count: 1 }, 404, /forgotten/],
      ["/api/write", { text: `${text}9`, count: 1 }, 404, /forgotten/],
      ["/api/attention", { text, position: 99 }, 400, /^position: expected one from 0/],
      ["/api/fill", { run: "book", text: "a [MASK] b" }, 400, /cannot fill in blanks/],
      ["/api/score", { run: "masked", text: "a" }, 400, /sees both sides/],
      ["/api/text", { run: "masked", prompt: "a" }, 400, /fills in blanks/],
    ];
    for (const [url, body, status, sentence] of refused) {
      const answered = await ask(url, { body });
      expect(answered.status, `${url} ${JSON.stringify(body)}: ${answered.text}`).toBe(status);
      expect(JSON.parse(answered.text).error).toMatch(sentence);
    }
  });

  it("shows what a token attends to", async () => {
    const { text, tokens } = await read("Call me Ishmael. Some years ago, never mind how long precisely");
    const position = 20;
    const { start, chunk, layers, ...seen } = await answer<Attention>("/api/attention", { body: { text, position } });
    expect([start, chunk, seen.position]).toEqual([16, 16, position]);
    expect(seen.tokens).toEqual(tokens.slice(16, 21).map(({ id, text }) => ({ id, text })));
    expect(layers).toHaveLength(2);
    for (const { heads, localNorm, distantNorm, localShare } of layers) {
      expect(heads.map((weights) => weights.length)).toEqual([5]);
      expect(heads[0].every((weight) => weight >= 0)).toBe(true);
      expect(localShare).toBeCloseTo(localNorm / (localNorm + (distantNorm as number)), 12);
    }
  });

  it("scores a text as it reads it, token by token", async () => {
    const text = sampleText(3000);
    const events = await lines<ScoreEvent>("/api/score", { body: { run: "book", text } });
    const parts = events.flatMap((event) => (event.type === "tokens" ? [event] : []));
    const end = events.at(-1) as Extract<ScoreEvent, { type: "end" }>;
    const bits = parts.flatMap((part) => part.bits);
    expect(parts.length).toBeGreaterThan(1);
    for (const [i, { from }] of parts.entries()) expect(from).toBe(parts.slice(0, i).flatMap((own) => own.bits).length);
    expect(end).toMatchObject({ tokens: bits.length, bytes: Buffer.byteLength(text), window: null });
    expect(bits.reduce((a, b) => a + b)).toBeCloseTo(end.bits, 4);
    expect(end.perplexity).toBeCloseTo(2 ** (end.bits / end.tokens), 9);
    const ranges = end.byPosition;
    expect(ranges.map(({ from }) => from)).toEqual([0, ...ranges.slice(1).map((_, i) => 16 * 2 ** i)]);
    expect(ranges.at(-1)?.to).toBe(end.tokens);
    const weighed = ranges.reduce((sum, { from, to, perplexity }) => sum + (to - from) * Math.log2(perplexity), 0);
    expect(weighed).toBeCloseTo(end.bits, 4);
    // The same model, read token by token after the end of the text before.
    const anew = await read("");
    const ids = (await read(text.slice(0, 40))).tokens.map(({ id }) => id).slice(0, 6);
    for (const [i, id] of ids.entries()) {
      const { tokens } = await write({ text: anew.text, token: id });
      expect(-Math.log2(tokens[0].token.probability as number)).toBeCloseTo(bits[i], 3);
    }
  });

  it("fills in blanks", async () => {
    expect(await model("masked")).toMatchObject({ objective: "masked", attention: false });
    const body = { run: "masked", text: "Call me [MASK]. Some [MASK] ago", topK: 4 };
    const { text, blanks } = await answer<FillAnswer>("/api/fill", { body });
    expect(blanks.map((own) => own.length)).toEqual([4, 4]);
    expect(text).toBe(`Call me${blanks[0][0].text}. Some${blanks[1][0].text} ago`);
  });

  it("stops for a client that leaves", async () => {
    const { text } = await read("It was");
    const address = await listen();
    const controller = new AbortController();
    const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
    const body = JSON.stringify({ text, count: 100_000 });
    const { signal } = controller;
    const { body: stream } = await fetch(`${address}/api/write`, { method: "POST", headers, body, signal });
    const reader = (stream as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toMatch(/^\{"type":"token"/);
    controller.abort();
    const { end } = await write({ text }); // waits for its turn
    expect(end.length).toBeLessThan(50_000);
    expect((await write({ text })).end.length).toBe(end.length);
  });

  it("goes on with the newest checkpoint, when it is asked for the model again", async () => {
    const { text } = await read("It was");
    await resume(join(folder, "book"), { steps: 13 });
    expect((await write({ text, count: 1 })).end.reason).toBe("count");
    expect(await model("book")).toMatchObject({ step: 13 });
    expect((await ask("/api/write", { body: { text, count: 1 } })).status).toBe(404);
  });

  it("keeps the texts used last, and no others", async () => {
    const { text } = await read("first");
    for (let i = 0; i < 8; i++) await read("another");
    const { status, text: told } = await ask("/api/write", { body: { text, count: 1 } });
    expect(status).toBe(404);
    expect(JSON.parse(told).error).toMatch(/forgotten: read it again/);
  });
});

/** The bytes of a token as it is told. */
function bytesOf(text: string): Buffer {
  if (!text.startsWith("bytes:")) return Buffer.from(text);
  return Buffer.from(text.slice("bytes:".length).replaceAll("\\x", ""), "hex");
}
