import { getActiveResourcesInfo } from "node:process";
import { beforeAll, describe, expect, it } from "vitest";
import { chapters } from "../../test/support/hub/corpora.ts";
import { availableProcessors } from "../base/processors.node.ts";
import { byteCharacters } from "./byte-level.ts";
import { defaultEncoders } from "./encode-pool.node.ts";
import { encodedBatches } from "./encoded-batches.node.ts";
import { type TextPiece, textInMemory } from "./text-source.ts";
import { type TextTokenizer, tokenizerFromJson, trainTokenizer } from "./tokenizer.node.ts";
import { tokenizerJson } from "./tokenizer-file.ts";

const texts = chapters(1, 70);
const source = textInMemory("chapters", texts);
let tokenizer: TextTokenizer;
beforeAll(async () => {
  tokenizer = await trainTokenizer({ source: textInMemory("some", texts.slice(0, 3)), vocabSize: 400, seed: 0 });
});

/** All tokens and counts of a text by so many threads. */
async function encoded(threads: number, text = source) {
  const ids: number[] = [];
  const ends: number[] = [];
  let [bytes, characters, words, batches, inWord] = [0, 0, 0, 0, false];
  for await (const batch of encodedBatches({ pieces: text.pieces(), tokenizer, threads })) {
    for (const end of batch.ends) ends.push(ids.length + end);
    for (const id of batch.ids) ids.push(id);
    bytes += batch.bytes;
    characters += batch.characters;
    words += batch.words - Number(inWord && batch.beginsInWord);
    inWord = batch.endsInWord;
    batches++;
  }
  return { ids, ends, bytes, characters, words, batches };
}

const workers = () => getActiveResourcesInfo().filter((name) => name.includes("MessagePort")).length;

describe("batches of threads", { timeout: 60_000 }, () => {
  it("are the tokens of the documents in order, whatever the number of threads", async () => {
    const one = await encoded(1);
    expect(one.batches).toBeGreaterThan(2);
    const expected: number[] = [];
    for (const text of texts) expected.push(...(await tokenizer.encode(text)), tokenizer.special.endOfText);
    expect(one.ids).toEqual(expected);
    expect(one.ends.length).toBe(texts.length);
    for (const end of one.ends) expect(one.ids[end - 1]).toBe(tokenizer.special.endOfText);
    expect(one.characters).toBe(texts.reduce((sum, text) => sum + [...text].length, 0));
    expect(one.words).toBe(texts.reduce((sum, text) => sum + text.split(/\s+/u).filter(Boolean).length, 0));
    expect(await encoded(3)).toEqual(one);
  });

  it("start no more threads than there are batches, and none by default that would wait", async () => {
    const before = workers();
    const batches = encodedBatches({ pieces: source.pieces(), tokenizer, threads: 200 });
    await batches.next();
    expect(workers() - before).toBeLessThanOrEqual((await encoded(1)).batches);
    await batches.return(undefined);
    expect(workers()).toBe(before);
    expect(defaultEncoders()).toBe(Math.min(16, availableProcessors()));
  });

  it("count a word once that goes on in the next batch", async () => {
    const word = "Ж".repeat(700_000); // larger than a batch, and without a good place to cut it
    const long = await encoded(2, textInMemory("long", [`one ${word} two`, "three"]));
    expect(long.batches).toBeGreaterThan(2);
    expect(long).toMatchObject({ words: 4, characters: 700_013 });
  });

  it("hold the source back until one has come back", async () => {
    let read = 0;
    async function* pieces(): AsyncGenerator<TextPiece> {
      for await (const piece of source.pieces()) {
        read += piece.bytes;
        yield piece;
      }
    }
    const batches = encodedBatches({ pieces: pieces(), tokenizer, threads: 1 });
    let landed = ((await batches.next()).value as { bytes: number }).bytes;
    await new Promise((resolve) => setTimeout(resolve, 300));
    // Two on their way, the first being here; each at most 256 kB and a piece.
    expect(read - landed).toBeLessThan(2 * (256 * 1024 + 22_000));
    for await (const { bytes } of batches) landed += bytes;
    expect(landed).toBe(read);
  });

  it("take vocabularies of more than 65,536 tokens", async () => {
    // A token for every pair of bytes, that of two letters "a" being the last.
    const letters = byteCharacters().sort((left, right) => Number(left === "a") - Number(right === "a"));
    const large = tokenizerFromJson(tokenizerJson(letters.flatMap((a) => letters.map((b) => [a, b] as const))));
    const text = textInMemory("pairs", ["aaé ".repeat(100_000)]);
    const ids: number[] = [];
    for await (const batch of encodedBatches({ pieces: text.pieces(), tokenizer: large, threads: 1 })) {
      expect(batch.ids).toBeInstanceOf(Uint32Array);
      for (const id of batch.ids) ids.push(id);
    }
    expect(await large.decode(ids)).toBe("aaé ".repeat(100_000));
    expect(ids.reduce((most, id) => Math.max(most, id))).toBeGreaterThan(65_535);
  });
});

describe("a thread that fails", { timeout: 60_000 }, () => {
  const script = (body: string) => new URL(`data:text/javascript,${encodeURIComponent(body)}`);
  const port = 'import { parentPort } from "node:worker_threads";';

  it.each<[string, string, string, RegExp]>([
    [
      "ends before it has begun",
      "process.exit(3)",
      "io",
      /a thread that turns text .* failed \(it ended with status 3\)/,
    ],
    ["throws at its start", 'throw new Error("no such thing")', "io", /failed \(no such thing\); run the same command/],
    [
      "dies at a batch",
      `${port} let n = 0; parentPort.on("message", () => { if (n++ === 1) process.exit(137); });`,
      "io",
      /failed \(it ended with status 137\)/,
    ],
    [
      "throws at a batch",
      `${port} parentPort.on("message", (m) => { if (m) throw new Error("memory"); else process.exit(0); });`,
      "io",
      /failed \(memory\)/,
    ],
    [
      "answers with an error",
      `${port} parentPort.on("message", (m) => { if (m) parentPort.postMessage({ error: { code: "data", message: "bad" } }); else parentPort.close(); });`,
      "data",
      /^bad$/,
    ],
  ])("and %s is one error, and no thread is left", async (_, body, code, message) => {
    const before = workers();
    const batches = encodedBatches({ pieces: source.pieces(), tokenizer, threads: 2, script: script(body) });
    await expect(batches.next()).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(workers()).toBe(before);
    expect(process.env.RAYON_NUM_THREADS).toBeUndefined();
  });

  it("or a source or reader that does, ends them too", async () => {
    const before = workers();
    async function* broken(): AsyncGenerator<TextPiece> {
      let bytes = 0;
      for await (const piece of source.pieces()) {
        yield piece;
        bytes += piece.bytes;
        if (bytes > 400_000) throw new Error("pulled the plug");
      }
    }
    const read = async () => {
      for await (const _ of encodedBatches({ pieces: broken(), tokenizer, threads: 2 }));
    };
    await expect(read()).rejects.toThrow("pulled the plug");
    for await (const _ of encodedBatches({ pieces: source.pieces(), tokenizer, threads: 2 })) break;
    expect(workers()).toBe(before);
  });
});
