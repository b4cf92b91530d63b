/**
 * Where text may be cut so that byte-level BPE of the pieces equals byte-level BPE of the whole.
 *
 * GPT-2's pre-tokenizer, `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, never joins a
 * character that is not white space with white space after it: such a place is always a border of two words, merges
 * never cross words, and nothing before it looks beyond it. The same holds between a letter or digit and a following
 * mark that is no apostrophe (for text without spaces: Chinese, Japanese, tables). Only well-known characters count, so
 * that a difference between two versions of Unicode cannot matter.
 */
import { LonghandError } from "../base/errors.ts";

const WORD = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** The words of GPT-2's pre-tokenizer, by this engine's version of Unicode; joined they are the text. */
export function splitWords(text: string): readonly string[] {
  return text.match(WORD) ?? [];
}

/** Pieces end at the last good place within this many UTF-16 units (20 kB of plain English). */
export const PIECE_UNITS = 20_000;
/** Text with no good place at all is cut here, between two code points; only there may the tokens differ. */
export const LONGEST_PIECE_UNITS = 65_536;

function isPlainSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09;
}

/** Surely not white space, whatever the definition; surrogates are none in any. */
function isVisible(unit: number): boolean {
  if (unit < 0x7f) return unit > 0x20;
  if (unit <= 0xa0 || unit === 0x1680 || unit === 0x180e || unit === 0x3000 || unit === 0xfeff) return false;
  return unit < 0x2000 || unit > 0x206f || (unit > 0x200f && unit < 0x2028) || (unit > 0x202f && unit < 0x205f);
}

function isLetterOrDigit(unit: number): boolean {
  return (
    (unit >= 0x30 && unit <= 0x39) ||
    (unit >= 0x41 && unit <= 0x5a) ||
    (unit >= 0x61 && unit <= 0x7a) ||
    (unit >= 0x3041 && unit <= 0x3096) || // hiragana
    (unit >= 0x30a1 && unit <= 0x30fa) || // katakana
    (unit >= 0x4e00 && unit <= 0x9fa5) || // ideographs of Unicode 1.1
    (unit >= 0xac00 && unit <= 0xd7a3) // hangul
  );
}

const MARKS = new Set([..."!,.:;?、。！，：；？"].map((mark) => mark.charCodeAt(0)));

function isCutBeforeSpace(text: string, i: number): boolean {
  return isPlainSpace(text.charCodeAt(i)) && isVisible(text.charCodeAt(i - 1));
}

function isCutBeforeMark(text: string, i: number): boolean {
  return MARKS.has(text.charCodeAt(i)) && isLetterOrDigit(text.charCodeAt(i - 1));
}

/**
 * The end of the piece that begins at `start`, or -1 when more text is needed to decide. `ended` says that `text` is
 * complete. The answer does not depend on how much text beyond the end has arrived.
 */
export function nextCut(text: string, start: number, ended: boolean): number {
  const length = text.length;
  const limit = start + PIECE_UNITS;
  if (length <= limit) return ended ? length : -1;
  for (let i = limit; i > start; i--) if (isCutBeforeSpace(text, i)) return i;
  for (let i = limit; i > start; i--) if (isCutBeforeMark(text, i)) return i;
  const hard = start + LONGEST_PIECE_UNITS;
  const stop = Math.min(hard, length - 1);
  for (let i = limit + 1; i <= stop; i++) if (isCutBeforeSpace(text, i) || isCutBeforeMark(text, i)) return i;
  if (length > hard) {
    const before = text.charCodeAt(hard - 1);
    return before >= 0xd800 && before <= 0xdbff ? hard - 1 : hard;
  }
  return ended ? length : -1;
}

/** All pieces of a complete text, in order; none for the empty text. */
export function splitText(text: string): string[] {
  const pieces: string[] = [];
  for (let start = 0; start < text.length; ) {
    const end = nextCut(text, start, true);
    pieces.push(text.slice(start, end));
    start = end;
  }
  return pieces;
}

/** Refuses half of a surrogate pair, which no UTF-8 can hold. `where` names the text in the message. */
export function requireWellFormed(text: string, where: string): void {
  if (text.isWellFormed()) return;
  const at = text.search(/\p{Surrogate}/u);
  const unit = text.charCodeAt(at).toString(16).toUpperCase();
  throw new LonghandError("data", `${where}: half of a surrogate pair (U+${unit}) at index ${at} is not text`);
}
