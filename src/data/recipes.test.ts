/** Wiki-40B's markers as plain text. */
import { expect, it } from "vitest";
import { plainArticle } from "./recipes.ts";

const plain = "Loomings\n\nIshmael\n\nCall me Ishmael.\nSome years ago.\n\nThe sea\n\nHere is the water-gazer.\n";

it("makes plain text of markers on lines of their own, and of markers within the line", () => {
  const lines =
    "\n_START_ARTICLE_\nLoomings\n_START_SECTION_\nIshmael\n_START_PARAGRAPH_\nCall me Ishmael._NEWLINE_Some years ago." +
    "\n_START_SECTION_\nThe sea\n_START_PARAGRAPH_\nHere is the water-gazer.";
  expect(plainArticle(lines)).toBe(plain);
  expect(plainArticle(lines.replaceAll("\n", " "))).toBe(plain);
  expect(plainArticle(lines.replace("_NEWLINE_", "\n_NEWLINE_\n"))).toBe(plain);
});

it("leaves text without markers as it is, and sections without text out", () => {
  expect(plainArticle("  START_ARTICLE _NEW_ \n")).toBe("  START_ARTICLE _NEW_ \n");
  expect(plainArticle("_START_ARTICLE_\nA\n_START_SECTION_\n_START_PARAGRAPH_\n_START_SECTION_\nB")).toBe("A\n\nB\n");
});
