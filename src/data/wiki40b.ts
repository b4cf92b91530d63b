/**
 * Wiki-40B's articles as plain text (Guo, Dai, Vrandečić, Al-Rfou 2020). They come with markers: _START_ARTICLE_ before the
 * title, _START_SECTION_ before a heading, _START_PARAGRAPH_ before the text of a section, _NEWLINE_ between its
 * paragraphs; some copies have them on lines of their own, some within the line.
 */
const PART = /\s*_START_(?:ARTICLE|SECTION|PARAGRAPH)_\s*/;
const NEW_LINE = /\s*_NEWLINE_\s*/g;

/** Title, headings and sections apart by an empty line, paragraphs by a line feed. Text without markers stays as it is. */
export function plainArticle(text: string): string {
  if (!text.includes("_START_") && !text.includes("_NEWLINE_")) return text;
  const parts = text.split(PART).map((part) => part.replace(NEW_LINE, "\n").trim());
  return `${parts.filter((part) => part.length > 0).join("\n\n")}\n`;
}
