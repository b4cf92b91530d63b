/**
 * The corpora that the paper trains on, as data: where on the hub each lies, in which files each of its splits, which
 * column is the text, and what has to be done to it. `{config}` stands for what follows the name: `hub:wiki40b/en`.
 */
import type { Split } from "./sources/splits.ts";

export interface CorpusRecipe {
  readonly name: string;
  readonly about: string;
  /** Data set on the hub. */
  readonly repo: string;
  /** What may stand for `{config}`; absent where there is nothing to choose. */
  readonly config?: { readonly what: string; readonly choices: readonly string[]; readonly default?: string };
  /** Files of each split; a star stands for any characters but a slash. */
  readonly splits: Partial<Record<Split, string>>;
  readonly field: string;
  /** What is done to the text of each document; default: nothing. */
  readonly transform?: (text: string) => string;
}

// biome-ignore format: a list of words
const WIKI40B_LANGUAGES = [
  "ar", "bg", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu", "id", "it", "ja", "ko",
  "lt", "lv", "ms", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "th", "tl", "tr", "uk", "vi", "zh-cn", "zh-tw",
];

const WIKI40B_PART = /\s*_START_(?:ARTICLE|SECTION|PARAGRAPH)_\s*/;
const WIKI40B_NEW_LINE = /\s*_NEWLINE_\s*/g;

/**
 * An article of Wiki-40B (Guo, Dai, Vrandečić, Al-Rfou 2020) as plain text: title, headings and sections separated by
 * an empty line, paragraphs by a line feed. Markers stand before each title, heading and section text, and between
 * paragraphs; some copies have them on lines of their own, some within the line. Text without markers stays as it is.
 */
export function plainArticle(text: string): string {
  if (!text.includes("_START_") && !text.includes("_NEWLINE_")) return text;
  const parts = text.split(WIKI40B_PART).map((part) => part.replace(WIKI40B_NEW_LINE, "\n").trim());
  return `${parts.filter((part) => part.length > 0).join("\n\n")}\n`;
}

export const recipes: readonly CorpusRecipe[] = [
  {
    name: "wiki40b",
    about: "Wiki-40B: cleaned Wikipedia articles in 41 languages",
    repo: "google/wiki40b",
    config: { what: "language", choices: WIKI40B_LANGUAGES, default: "en" },
    splits: {
      train: "{config}/train-*.parquet",
      validation: "{config}/validation-*.parquet",
      test: "{config}/test-*.parquet",
    },
    field: "text",
    transform: plainArticle,
  },
  {
    name: "pg19",
    about: "PG-19: 28,752 books of Project Gutenberg published before 1919",
    // deepmind/pg19 holds a script only; this is a copy of what it fetches, whole books as rows.
    repo: "emozilla/pg19",
    splits: {
      train: "data/train-*.parquet",
      validation: "data/validation-*.parquet",
      test: "data/test-*.parquet",
    },
    field: "text",
  },
  {
    name: "c4",
    about: "C4: cleaned pages of Common Crawl of April 2019",
    repo: "allenai/c4",
    config: {
      what: "variant",
      choices: ["en", "en.noblocklist", "en.noclean", "realnewslike"],
      default: "en",
    },
    splits: {
      train: "{config}/c4-train.*-of-*.json.gz",
      validation: "{config}/c4-validation.*-of-*.json.gz",
    },
    field: "text",
  },
];
