/** Scoring under small models: totals, the figure of eval, texts in parts, windows, and two models side by side. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ScoredDocument, ScoredLine, ScoredToken, ScoreRecord } from "../../use/score/records.ts";
import { scoreText } from "../../use/score/score-text.ts";
import { train } from "../train/train.ts";
import { evaluate } from "../use/evaluate.ts";
import { byDocument, withShards } from "../use/measure.ts";
import { type LoadedModel, loadModel } from "../use/model.ts";
import { type ScoreOptions, score } from "./score.ts";

const folder = mkdtempSync(join(tmpdir(), "longhand-score-"));
const text = Array.from({ length: 600 }, (_, i) => `Line ${i} of ${(i * 7919) % 1009}.\n${i % 9 ? "" : "\n"}`).join("");
const data = join(folder, "text.txt");
let flash: LoadedModel;
let transformer: LoadedModel;

beforeAll(async () => {
  writeFileSync(data, text);
  const small = { context: 64, batch: 2, steps: 3, threads: 1 };
  const size = { "model.layers": 1, "model.width": 32 };
  const flashSize = { ...size, "model.shared": 16 };
  await train({ data, out: join(folder, "flash"), ...small, vocab: 300, chunk: 16 }, { overrides: flashSize });
  const other = { model: "transformer++", vocab: 280 } as const;
  await train(
    { data, out: join(folder, "transformer"), ...small, ...other },
    { overrides: { ...size, "model.ffn": 32 } },
  );
  flash = await loadModel(join(folder, "flash"));
  transformer = await loadModel(join(folder, "transformer"));
}, 60_000);

afterAll(async () => {
  await flash.close();
  await transformer.close();
  rmSync(folder, { recursive: true });
});

async function scored(model: LoadedModel, options: ScoreOptions) {
  const records: ScoreRecord[] = [];
  for await (const record of score(model, options)) records.push(record);
  const of = <Type extends ScoreRecord["type"]>(type: Type) =>
    records.filter((record): record is Extract<ScoreRecord, { type: Type }> => record.type === type);
  return { records, lines: of("line"), tokens: of("token"), documents: of("document") };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** What must hold of any scored document. */
function expectAddsUp(
  whole: string,
  parts: { lines: ScoredLine[]; tokens: ScoredToken[]; documents: ScoredDocument[] },
) {
  const { lines, tokens, documents } = parts;
  const [document] = documents;
  expect(documents).toHaveLength(1);
  expect(sum(lines.map(({ bits }) => bits))).toBe(document.bits);
  expect(sum(tokens.map(({ bits }) => bits))).toBe(document.bits);
  expect(sum(lines.map((line) => line.tokens))).toBe(tokens.length);
  expect(document.tokens).toBe(tokens.length);
  expect(document.bytes).toBe(Buffer.byteLength(whole));
  expect(document.lines).toBe(lines.length);
  const bytes = tokens.map((token) => (token.bytes ? Buffer.from(token.bytes) : Buffer.from(token.text)));
  expect(Buffer.concat(bytes).toString()).toBe(whole);
}

describe("score", { timeout: 60_000 }, () => {
  it("gives the sum of whole-document evaluation", async () => {
    const result = await scored(flash, { data, tokens: true });
    expectAddsUp(text, result);
    const [{ bits, endBits = Number.NaN, tokens, window, path }] = result.documents;
    const whole = await withShards(data, {}, flash.tokenizer, (shards) => byDocument(flash)(shards));
    expect((bits + endBits) / (whole.totalLoss / Math.LN2)).toBeCloseTo(1, 6);
    expect(tokens + 1).toBe(whole.tokens);
    expect({ window, path }).toEqual({ window: null, path: data });
  });

  it("gives the sum of evaluation in windows, as a softmax Transformer is read", async () => {
    for (const [model, context] of [
      [transformer, undefined],
      [transformer, 50],
      [flash, 37],
    ] as const) {
      const { documents } = await scored(model, { data, context });
      const [{ bits, endBits = Number.NaN, window }] = documents;
      const { loss, tokens } = await evaluate(model, { data, context });
      expect((bits + endBits) / ((loss * tokens) / Math.LN2)).toBeCloseTo(1, 6);
      expect(window).toBe(context ?? 64);
    }
  });

  it("adds up for any text, and is the same however the text arrives", async () => {
    const fragments = fc.array(
      fc.constantFrom(
        "Line 7",
        " of",
        "\n",
        "\r\n",
        "\n\n",
        "    ",
        "é字",
        "😀",
        "\u0000\u2028".slice(1),
        "'s",
        "\t",
        "q",
      ),
      { minLength: 1, maxLength: 60 },
    );
    const property = fc.asyncProperty(fragments, fc.integer({ min: 1, max: 7 }), async (parts, size) => {
      const whole = parts.join("");
      const result = await scored(flash, { text: whole, tokens: true });
      expectAddsUp(whole, result);
      const bytes = Buffer.from(whole);
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );
      const arrived = await scored(flash, { data: "-", input: Readable.from(chunks), tokens: true });
      expect(arrived.lines.map(({ path: _, ...line }) => line)).toEqual(
        result.lines.map(({ path: _, ...line }) => line),
      );
      expect(arrived.tokens).toEqual(result.tokens);
    });
    await fc.assert(property, { numRuns: 25 });
  });

  it("scores several documents, each from its own beginning, of any kind of file", async () => {
    const records = join(folder, "lines.jsonl");
    const packed = join(folder, "one.txt.gz");
    writeFileSync(
      records,
      ["Line 1.\nLine 2.", "Line 3 of 4."].map((own) => `${JSON.stringify({ text: own })}\n`).join(""),
    );
    writeFileSync(packed, gzipSync("Line 3 of 4."));
    const { documents, lines } = await scored(flash, { data: [records, packed] });
    expect(documents.map(({ document, path, record, lines }) => ({ document, path, record, lines }))).toEqual([
      { document: 1, path: records, record: 1, lines: 2 },
      { document: 2, path: records, record: 2, lines: 1 },
      { document: 3, path: packed, record: undefined, lines: 1 },
    ]);
    expect(documents[2].bits).toBe(documents[1].bits);
    expect(lines.map(({ document, line, text }) => [document, line, text])).toEqual([
      [1, 1, "Line 1."],
      [1, 2, "Line 2."],
      [2, 1, "Line 3 of 4."],
      [3, 1, "Line 3 of 4."],
    ]);
  });

  it("compares two models line by line, whatever their tokenizers", async () => {
    const alone = await scored(transformer, { data });
    const own = await scored(flash, { data });
    const { lines, documents } = await scored(flash, { data, against: transformer });
    expect(lines.map(({ against: _, ...line }) => line)).toEqual(own.lines);
    for (const [i, { bits, against }] of lines.entries()) {
      expect(against?.bits).toBe(alone.lines[i].bits);
      expect(against?.saved).toBe(alone.lines[i].bits - bits);
    }
    expect(documents[0].against?.bits).toBe(alone.documents[0].bits);
    expect(documents[0].against?.tokens).not.toBe(documents[0].tokens);
  });

  it("returns tokens of a line of any length as they come, also beside another model", async () => {
    let [given, returned, furthest] = [0, 0, 0];
    async function* parts() {
      yield "Line 1 of 2.\n";
      for (let i = 0; i < 20; i++) {
        const part = `Line ${i} of ${i}, `.repeat(400);
        given += Buffer.byteLength(part);
        yield part;
      }
    }
    let lines = 0;
    for await (const record of scoreText(flash, { text: parts(), tokens: true, against: transformer })) {
      if (record.type === "line") lines++;
      if (record.type !== "token") continue;
      returned += record.bytes?.length ?? Buffer.byteLength(record.text);
      furthest = Math.max(furthest, given - returned);
    }
    expect(lines).toBe(2);
    expect(returned).toBeGreaterThan(110_000);
    expect(furthest).toBeLessThan(50_000); // a piece, and what waits until it is worth reading
  });

  it("takes a piece of more tokens than a call can have arguments", async () => {
    const long = "ё".repeat(65_536);
    const { tokens, documents } = await scored(flash, { text: long, tokens: true });
    expect(tokens).toHaveLength(131_072);
    expect(documents[0].tokens).toBe(131_072);
  });

  it("stops between two pieces, and leaves the end of the text out", async () => {
    const stopping = new AbortController();
    async function* endless() {
      for (let i = 0; ; i++) yield `Line ${i} of ${i}.\n`.repeat(100);
    }
    const lines: ScoreRecord[] = [];
    const options = { data: "-", input: Readable.from(endless()), signal: stopping.signal };
    for await (const record of score(flash, options)) {
      lines.push(record);
      if (lines.length === 2000) stopping.abort();
    }
    expect(lines.at(-1)).toMatchObject({ type: "document", path: "standard input" });
    expect(lines.at(-1)).not.toHaveProperty("endBits");
  });

  it("refuses what it cannot score in a sentence", async () => {
    await expect(scored(flash, { data: "-", input: Readable.from([]) })).rejects.toThrow("standard input is empty");
    await expect(scored(flash, { data: "-", input: Readable.from([Buffer.of(97, 0xff)]) })).rejects.toThrow(
      "standard input is not UTF-8: invalid byte 0xff at offset 1",
    );
    await expect(scored(flash, {})).rejects.toThrow("score: expected either `data` or `text`");
    await expect(scored(flash, { text: "" })).rejects.toThrow("contains no text");
    await expect(scored(flash, { data, context: 0 })).rejects.toMatchObject({ code: "usage" });
  });
});
