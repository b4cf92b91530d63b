/** The page of `longhand score --html`: characters of several tokens, control characters, and its bounds. */
import { expect, it } from "vitest";
import type { ScoredDocument, ScoredLine, ScoredToken } from "../use/score/records.ts";
import { ScorePage } from "./score-page.ts";

const surprise = { bits: 3, tokens: 1, bitsPerByte: 1, bitsPerToken: 3, highest: 3, bytes: 3 };
const place = { document: 1, path: "a.txt" };
const line = (number: number): ScoredLine => ({ type: "line", ...place, ...surprise, line: number, text: "" });
const document: ScoredDocument = { type: "document", ...place, ...surprise, lines: 1, window: null };
const token = (text: string, bits: number, bytes?: number[]): ScoredToken => ({
  ...{ type: "token", document: 1, line: 1, token: 0, text, bits },
  ...(bytes && { bytes }),
});

it("shades a character whole that several tokens make", () => {
  const page = new ScorePage({ compared: false });
  const [first, ...rest] = Buffer.from("字");
  for (const record of [token("\ufffd", 4, [first]), token("\ufffd", 4, rest), line(1), document]) page.add(record);
  expect(page.html("m").join("")).toContain('<td><span class="s2" title="8.0 bits">字</span></td>');
});

it("shows nothing that moves the cursor or is read as markup", () => {
  const page = new ScorePage({ compared: false });
  for (const record of [token("\u001b<b>\u202e\n", 1), line(1), document]) page.add(record);
  expect(page.html("<m>").join("")).toContain("<td>\ufffd&lt;b&gt;\ufffd↵</td>");
  expect(page.html("<m>").join("")).toContain("<title>What surprises &lt;m&gt;</title>");
});

it("is bounded, whatever the number of tokens and of documents, and says what it leaves out", () => {
  const page = new ScorePage({ compared: false, most: 3 });
  for (let i = 0; i < 1000; i++) for (const record of [token("a", 1), line(1), document]) page.add(record);
  const html = page.html("m").join("");
  expect(html.match(/<h2>/g)).toHaveLength(3);
  expect(html).toContain("<p>Left out: 997 further lines, and 997 further documents.</p>");
});
