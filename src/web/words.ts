/**
 * The words of GPT-2's pre-tokenizer, divided as the native encoder divides them: it knows Unicode 16, whatever this
 * browser knows, and white space is Unicode's, to which U+0085 belongs and U+FEFF does not. (data/pieces.ts has the same
 * expression with JavaScript's own classes; Node asks the native encoder where they differ.)
 */

/** Letters and digits of Unicode 17, which are marks to the native encoder. */
const LATER =
  "\\u088f\\u0c5c\\u0cdc\\ua7ce\\ua7cf\\ua7d2\\ua7d4\\ua7f1\\u{10940}-\\u{10959}\\u{10ec5}-\\u{10ec7}" +
  "\\u{11db0}-\\u{11de9}\\u{16ea0}-\\u{16ed3}\\u{16ff2}-\\u{16ff6}\\u{187f8}-\\u{187ff}\\u{18d09}-\\u{18d1e}" +
  "\\u{18d80}-\\u{18df2}\\u{1e6c0}-\\u{1e6ff}\\u{2b73a}-\\u{2b73f}\\u{2cea2}-\\u{2cead}\\u{323b0}-\\u{33479}";

const WORD = wordPattern();

/** Joined they are the text, which must be well-formed. */
export function wordsOf(text: string): readonly string[] {
  return text.match(WORD) ?? [];
}

function wordPattern(): RegExp {
  const [letter, digit] = ["L", "N"].map((kind) => `[\\p{${kind}}--[${LATER}]]`);
  const space = "\\p{White_Space}";
  const mark = `[^${space}${letter}${digit}]`;
  return new RegExp(
    `'s|'t|'re|'ve|'m|'ll|'d| ?${letter}+| ?${digit}+| ?${mark}+|${space}+(?!\\P{White_Space})|${space}+`,
    "gv",
  );
}
