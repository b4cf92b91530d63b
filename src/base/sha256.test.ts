/** The checksum against Node's, for texts of every length near a block. */
import { createHash, randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { sha256Hex } from "./sha256.ts";

it("SHA-256 equals Node's for every length around the blocks, for text, and for a megabyte", () => {
  const expected = (content: Uint8Array | string) => createHash("sha256").update(content).digest("hex");
  for (const length of [...Array(200).keys(), 1_000_003]) {
    const bytes = new Uint8Array(randomBytes(length + 1).buffer, 0).subarray(1, length + 1);
    expect(sha256Hex(bytes)).toBe(expected(bytes));
  }
  const parts = [3, 64, 1, 130, 0, 62, 500].map((length) => new Uint8Array(randomBytes(length)));
  expect(sha256Hex("é", ...parts)).toBe(expected(Buffer.concat([Buffer.from("é"), ...parts])));
  for (const text of ["", "abc", "déjà vu 字 😀"]) expect(sha256Hex(text)).toBe(expected(text));
});
