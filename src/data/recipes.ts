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
  /** How the text is written: as it is, or with Wiki-40B's markers. */
  readonly form: "plain" | "wiki40b";
}

// biome-ignore format: a list of words
const WIKI40B_LANGUAGES = [
  "ar", "bg", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu", "id", "it", "ja", "ko",
  "lt", "lv", "ms", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "th", "tl", "tr", "uk", "vi", "zh-cn", "zh-tw",
];

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
    form: "wiki40b",
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
    form: "plain",
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
    form: "plain",
  },
];
