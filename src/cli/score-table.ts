/** What `longhand score` shows people: documents by surprise, and the lines that surprised most. */
import { Highest, type MeasureName, measured } from "../run/score/ranking.ts";
import type { ScoredDocument, ScoredLine, ScoreRecord } from "../use/score/records.ts";
import { count } from "./amounts.ts";

const NAMES: Readonly<Record<MeasureName, string>> = {
  bits: "bits",
  byte: "bits a byte",
  token: "bits a token",
  highest: "bits of its most surprising token",
};

/** Characters of a line that are shown. */
const SHOWN = 160;

export interface ScoreTableOptions {
  readonly by: MeasureName;
  readonly top: number;
  /** Whether another model stands beside. */
  readonly compared: boolean;
}

export class ScoreTable {
  readonly #options: ScoreTableOptions;
  readonly #lines: Highest<ScoredLine>;
  readonly #documents: Highest<ScoredDocument>;

  constructor(options: ScoreTableOptions) {
    this.#options = options;
    this.#lines = new Highest(options.top);
    this.#documents = new Highest(options.top);
  }

  add(record: ScoreRecord): void {
    if (record.type === "line") this.#lines.add(record, measured(record, this.#options.by));
    // Longer documents hold more bits: what compares them is bits a byte.
    if (record.type === "document") this.#documents.add(record, record.bitsPerByte);
  }

  text(): string {
    const { by, compared } = this.#options;
    const [documents, lines] = [this.#documents.values, this.#lines.values];
    const several = this.#documents.count > 1;
    const rows = documents.map((document) => documentRow(document, compared));
    const shown = lines.map((line) => lineText(line, by, several));
    const saved = compared ? ", saved a byte" : "";
    return (
      `bits a byte, bits a token${saved}, lines, tokens, document${leftOut(this.#documents)}\n${rows.join("")}` +
      `${NAMES[by]}${compared ? ", saved" : ""}, line${leftOut(this.#lines)}\n${shown.join("")}`
    );
  }
}

const leftOut = <Value>({ count: all, values }: Highest<Value>) =>
  values.length < all ? ` (${count(values.length)} of ${count(all)})` : "";

function documentRow(document: ScoredDocument, compared: boolean): string {
  const { bitsPerByte, bitsPerToken, against, bytes, lines, tokens, window } = document;
  const numbers = [bitsPerByte.toFixed(4), (bitsPerToken ?? 0).toFixed(3)];
  if (compared) numbers.push(against ? (against.saved / bytes).toFixed(4) : "");
  numbers.push(count(lines), count(tokens));
  const read = window === null ? "" : `, in windows of ${window} tokens that each begin anew`;
  return `${numbers.map((number) => number.padStart(11)).join("")}  ${nameOf(document)}${read}\n`;
}

function nameOf({ path, record }: Pick<ScoredDocument, "path" | "record">): string {
  return record === undefined ? path : `${path}, record ${record}`;
}

/** One line: what it measures, its number and its text, in which nothing moves the cursor. */
export function lineText(line: ScoredLine, by: MeasureName, several = false): string {
  const numbers = [measured(line, by).toFixed(by === "byte" ? 3 : 1)];
  if (line.against) numbers.push(line.against.saved.toFixed(1));
  const where = several ? `${line.path}:${line.line}` : `${line.line}`;
  return `${numbers.map((number) => number.padStart(8)).join("")}  ${where.padStart(8)}  ${printable(line)}\n`;
}

function printable({ text, cut }: ScoredLine): string {
  const characters = [...text.slice(0, 2 * SHOWN)];
  const shown = characters.slice(0, SHOWN).join("");
  const more = cut || characters.length > SHOWN ? " …" : "";
  return shown.replace(/[\p{Cc}\p{Cf}]/gu, (control) => (control === "\t" ? " " : "\u{fffd}")) + more;
}
