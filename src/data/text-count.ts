/** Counts characters and words of streamed text: the denominators of perplexity per word and bits per byte. */

/**
 * Characters are code points. Words are runs without white space (what `wc -w` counts), so punctuation belongs to the
 * word that it touches. A word that goes on in the next text is counted once until `endDocument` is called.
 */
export class TextCounter {
  characters = 0;
  words = 0;
  #inWord = false;

  /** Whether a word has begun that the next text may go on with. */
  get inWord(): boolean {
    return this.#inWord;
  }

  add(text: string): void {
    let inWord = this.#inWord;
    let trailing = 0;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0xdc00 && unit <= 0xdfff) trailing++;
      const space = isSpace(unit);
      if (!space && !inWord) this.words++;
      inWord = !space;
    }
    this.characters += text.length - trailing;
    this.#inWord = inWord;
  }

  endDocument(): void {
    this.#inWord = false;
  }
}

/** The Unicode property White_Space, of a UTF-16 unit. */
export function isSpace(unit: number): boolean {
  if (unit <= 0x20) return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
  if (unit < 0x1680) return unit === 0x85 || unit === 0xa0;
  return (
    unit === 0x1680 ||
    (unit >= 0x2000 && unit <= 0x200a) ||
    unit === 0x2028 ||
    unit === 0x2029 ||
    unit === 0x202f ||
    unit === 0x205f ||
    unit === 0x3000
  );
}
