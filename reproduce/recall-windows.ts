/**
 * Texts made from a seed in which some tokens follow from what stood a chosen number of tokens before, and from nothing
 * else: recall of a name; several key-value pairs (multi-query associative recall: Arora et al. 2023, "Zoology:
 * Measuring and Improving Recall in Efficient Language Models", arXiv 2312.04927); copying of a passage. Statements,
 * and questions about them, stand among filler. A window is a pure function of the seed and its number.
 */
import { randomKey, randomUniform } from "longhand/nn";

export const recallTaskNames = ["name", "pairs", "copy"] as const;
export type RecallTaskName = (typeof recallTaskNames)[number];

/** Symbols of each kind, but for filler: names; keys of pairs and passages; values; tokens of passages. */
const CHOICES = 16;
const FILLERS = 8;
const [NAMES, KEYS, VALUES, PASSAGES, FILLER] = [0, 1, 2, 3, 4].map((kind) => kind * CHOICES);
/** Asks for the name. */
const WHO = FILLER + FILLERS;
export const RECALL_VOCABULARY = WHO + 1;

/** The accuracy of one who knows the kind of the answer and nothing else: all choices are equally likely. */
export const CHANCE = 1 / CHOICES;
/** Of a window. */
export const PAIRS = 4;
const PASSAGE_COUNT = 2;
/** Tokens of a passage, all different, also from those of the other. */
export const PASSAGE = 4;

/** How often each is asked for in a window of training; a passage is copied once. */
const QUESTIONS = { name: 6, pairs: 2, copy: 1 } as const;

/** Places that are tried for a statement or a question before it is left out of its window. */
const ATTEMPTS = 40;

export interface RecallRequest {
  readonly seed: number;
  /** Number of the window. */
  readonly example: number;
  /** Tokens of the window, more than the distance. */
  readonly length: number;
  /**
   * Tokens from the beginning of a statement to that of its question; undefined, for training: every question has its
   * own, whose logarithm is uniform up to the length of the window.
   */
  readonly distance?: number | undefined;
}

interface Answer {
  readonly task: RecallTaskName;
  /** Where the model has read all but the answer: `targets[position]` is the answer. */
  readonly position: number;
  /** Where the answer stood: it is `tokens[source]`. */
  readonly source: number;
}

export interface RecallWindow {
  /** [length] */
  readonly tokens: Int32Array;
  /** [length]: the answers at their positions, 0 elsewhere. */
  readonly targets: Int32Array;
  readonly answers: readonly Answer[];
}

/** A statement and how it is asked for: token i of the question is answered by token i + `shift` of the statement. */
interface Item {
  readonly task: RecallTaskName;
  readonly statement: readonly number[];
  readonly question: readonly number[];
  readonly shift: 0 | 1;
}

/** Throws a plain error for a distance that does not fit into the window: the caller chooses both. */
export function recallWindow({ seed, example, length, distance }: RecallRequest): RecallWindow {
  const draw = drawer(seed, example);
  const items = itemsOf(draw);
  const tokens = Int32Array.from({ length }, () => FILLER + draw(FILLERS));
  const targets = new Int32Array(length);
  const answers: Answer[] = [];
  const places = new Places(length, draw);
  for (const { task, statement, question, shift } of items) {
    const sizes = { statement: statement.length, question: question.length };
    const start = places.forStatement(sizes, distance);
    if (start === undefined) continue;
    tokens.set(statement, start);
    for (let asked = 0; asked < (distance === undefined ? QUESTIONS[task] : 1); asked++) {
      const at = places.forQuestion(start, sizes, distance);
      if (at === undefined) continue;
      tokens.set(question, at);
      for (const i of question.keys()) {
        targets[at + i] = statement[i + shift];
        answers.push({ task, position: at + i, source: start + i + shift });
      }
    }
  }
  return { tokens, targets, answers };
}

/** What is stated in a window. Every answer is drawn by itself, so nothing else tells it. */
function itemsOf(draw: Draw): Item[] {
  const keys = shuffled(CHOICES, draw).map((symbol) => KEYS + symbol);
  const symbols = shuffled(CHOICES, draw).map((symbol) => PASSAGES + symbol);
  const passages = Array.from({ length: PASSAGE_COUNT }, (_, i): Item => {
    const statement = [keys[PAIRS + i], ...symbols.slice(i * PASSAGE, (i + 1) * PASSAGE)];
    return { task: "copy", statement, question: statement.slice(0, -1), shift: 1 };
  });
  const pairs = keys.slice(0, PAIRS).map((key): Item => {
    return { task: "pairs", statement: [key, VALUES + draw(CHOICES)], question: [key], shift: 1 };
  });
  return [...passages, ...pairs, { task: "name", statement: [NAMES + draw(CHOICES)], question: [WHO], shift: 0 }];
}

type Sizes = Readonly<Record<"statement" | "question", number>>;

/** Where statements and questions of a window stand: none covers another. */
class Places {
  private readonly taken: Uint8Array;
  private readonly draw: Draw;

  constructor(length: number, draw: Draw) {
    this.taken = new Uint8Array(length);
    this.draw = draw;
  }

  /** With a distance, its question will find a place there. */
  forStatement(sizes: Sizes, distance?: number): number | undefined {
    const last = this.taken.length - (distance ?? sizes.statement) - sizes.question;
    if (last < 0 || (distance !== undefined && distance < sizes.statement)) {
      throw new Error(`recall: a distance of ${distance} does not fit into a window of ${this.taken.length} tokens`);
    }
    return this.find(
      () => this.draw(last + 1),
      (at) =>
        this.isFree(at, sizes.statement) && (distance === undefined || this.isFree(at + distance, sizes.question)),
      sizes.statement,
    );
  }

  /** At the distance; without one, at any up to the end, of which the logarithm is uniform. */
  forQuestion(start: number, { statement, question }: Sizes, distance?: number): number | undefined {
    const most = this.taken.length - question - start;
    return this.find(
      () => start + (distance ?? Math.floor(statement * ((most + 1) / statement) ** (this.draw(2 ** 24) / 2 ** 24))),
      (at) => this.isFree(at, question),
      question,
    );
  }

  private find(propose: () => number, fits: (at: number) => boolean, size: number): number | undefined {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const at = propose();
      if (!fits(at)) continue;
      this.taken.fill(1, at, at + size);
      return at;
    }
    return undefined;
  }

  private isFree(from: number, size: number): boolean {
    return !this.taken.subarray(from, from + size).includes(1);
  }
}

/** The next number of a stream: whole, below `below`. */
type Draw = (below: number) => number;

function drawer(seed: number, example: number): Draw {
  const key = randomKey(seed, "recall", example);
  let drawn = 0;
  return (below) => Math.floor(below * randomUniform(key, drawn++));
}

/** 0 … count - 1 in a random order (Fisher and Yates). */
function shuffled(count: number, draw: Draw): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = draw(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
