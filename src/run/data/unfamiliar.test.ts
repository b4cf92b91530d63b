import { expect, it } from "vitest";
import { unfamiliar } from "./unfamiliar.ts";

const of = (bytesPerToken: number, own: number | undefined, vocabSize = 2048) =>
  unfamiliar({ name: "text", bytesPerToken }, { own, vocabSize });

it("compares a text with that of the tokenizer", () => {
  expect(of(2.4, 3.2)).toBeUndefined();
  expect(of(1.9, 3.2)).toMatch(
    /^text: a token of the model stands for 1\.9 bytes of it, and for 3\.2 of the text of the/,
  );
});

it("compares with English prose where that is not known", () => {
  const english = [512, 1024, 2048, 4096, 8192, 16384].map((vocab) => [vocab, 0.66, 0.64] as const);
  const measured = [2.12, 2.7, 3.18, 3.61, 4.0, 4.36];
  for (const [i, [vocab, least, less]] of english.entries()) {
    expect(of(least * (measured[i] + 0.05), undefined, vocab)).toBeUndefined();
    expect(of(less * (measured[i] - 0.05), undefined, vocab)).toContain(
      `English prose with ${vocab} tokens of its own`,
    );
  }
  expect(of(1, undefined, 260)).toBeUndefined();
});
