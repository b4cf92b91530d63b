/**
 * What `longhand score --html` writes: a page of lines with their bits, in which every token is shaded by its surprise, and the
 * most surprising ones are underlined too, for whoever does not see the shades. It needs no script and nothing from elsewhere.
 */
import type { ScoredDocument, ScoredLine, ScoredToken, ScoreRecord } from "../use/score/records.ts";
import { count } from "./amounts.ts";

/** Tokens that a page holds: browsers get slow beyond. */
const MOST_TOKENS = 100_000;

/** Bits from which a token has the next shade. */
const SHADES = [2, 5, 9, 14] as const;

const STYLE = `
:root { color-scheme: light dark; --shade: 214, 96, 0; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: right; vertical-align: top; padding: 0 .6rem; font-variant-numeric: tabular-nums; }
th:last-child, td:last-child { text-align: left; width: 100%; white-space: pre-wrap; overflow-wrap: anywhere;
  font-family: ui-monospace, monospace; }
thead th { font-weight: 600; }
tbody th { font-weight: 400; opacity: .7; }
.s1 { background: rgba(var(--shade), .14); } .s2 { background: rgba(var(--shade), .28); }
.s3 { background: rgba(var(--shade), .42); text-decoration: underline dotted; }
.s4 { background: rgba(var(--shade), .56); text-decoration: underline; font-weight: 600; }`;

export class ScorePage {
  readonly #compared: boolean;
  readonly #most: number;
  readonly #parts: string[] = [];
  /** Spans of the line that has not ended yet. */
  #spans: string[] = [];
  /** Tokens that are parts of a character, until it is whole. */
  #partial: { readonly bytes: number[]; bits: number } = { bytes: [], bits: 0 };
  #rows: string[] = [];
  #tokens = 0;
  #leftOut = { lines: 0, documents: 0 };

  constructor({ compared, most = MOST_TOKENS }: { readonly compared: boolean; readonly most?: number }) {
    this.#compared = compared;
    this.#most = most;
  }

  add(record: ScoreRecord): void {
    if (record.type === "token") this.#token(record);
    else if (record.type === "line") this.#line(record);
    else this.#document(record);
  }

  /** The page, in parts. */
  html(model: string): string[] {
    const title = `What surprises ${escaped(model)}`;
    const legend = SHADES.map((from, i) => `<span class="s${i + 1}">${from} bits or more</span>`).join(" ");
    const { lines, documents } = this.#leftOut;
    const beyond = documents > 0 ? `, and ${count(documents)} further documents` : "";
    const left = lines > 0 ? `<p>Left out: ${count(lines)} further lines${beyond}.</p>\n` : "";
    return [
      `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n`,
      `<title>${title}</title>\n<style>${STYLE}\n</style>\n<main>\n<h1>${title}</h1>\n`,
      `<p>Bits of surprise: −log₂ of the probability of what comes. Tokens of ${legend}</p>\n`,
      ...this.#parts,
      `${left}</main>\n</html>\n`,
    ];
  }

  #token({ text, bytes, bits }: ScoredToken): void {
    this.#tokens++;
    if (this.#tokens > this.#most) return;
    const partial = this.#partial;
    if (bytes === undefined && partial.bytes.length === 0) {
      this.#spans.push(span(text, bits));
      return;
    }
    partial.bytes.push(...(bytes ?? Buffer.from(text)));
    partial.bits += bits;
    if (isWhole(partial.bytes)) this.#flush();
  }

  #flush(): void {
    const { bytes, bits } = this.#partial;
    if (bytes.length > 0) this.#spans.push(span(Buffer.from(bytes).toString("utf8"), bits));
    this.#partial = { bytes: [], bits: 0 };
  }

  #line({ line, bits, bitsPerByte, against }: ScoredLine): void {
    this.#flush();
    const spans = this.#spans;
    this.#spans = [];
    if (this.#tokens > this.#most) {
      this.#leftOut.lines++;
      return;
    }
    const saved = this.#compared ? `<td>${against?.saved.toFixed(1) ?? ""}</td>` : "";
    this.#rows.push(
      `<tr><th scope="row">${line}</th><td>${bits.toFixed(1)}</td><td>${bitsPerByte.toFixed(2)}</td>${saved}` +
        `<td>${spans.join("")}</td></tr>\n`,
    );
  }

  #document({ path, record, bitsPerByte, lines, tokens }: ScoredDocument): void {
    if (this.#rows.length === 0 && this.#tokens > this.#most) {
      this.#leftOut.documents++;
      return;
    }
    const name = record === undefined ? path : `${path}, record ${record}`;
    const columns = ["Line", "Bits", "A byte", ...(this.#compared ? ["Saved"] : []), "Text"];
    const heads = columns.map((column) => `<th scope="col">${column}</th>`).join("");
    this.#parts.push(
      `<h2>${escaped(name)}</h2>\n<p>${bitsPerByte.toFixed(4)} bits a byte, ${count(lines)} lines, ${count(tokens)} tokens</p>\n`,
      `<table>\n<thead><tr>${heads}</tr></thead>\n<tbody>\n`,
      ...this.#rows,
      "</tbody>\n</table>\n",
    );
    this.#rows = [];
  }
}

/** Whether bytes do not end inside a character. */
function isWhole(bytes: readonly number[]): boolean {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const text = decoder.decode(Uint8Array.from(bytes), { stream: true });
  return decoder.decode() === "" && text !== "";
}

function span(text: string, bits: number): string {
  const shade = SHADES.filter((from) => bits >= from).length;
  const shown = escaped(text.replace(/\r?\n/g, "↵")).replace(/[\p{Cc}\p{Cf}]/gu, (control) => {
    return control === "\t" ? control : "\u{fffd}";
  });
  return shade === 0 ? shown : `<span class="s${shade}" title="${bits.toFixed(1)} bits">${shown}</span>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
const escaped = (text: string) => text.replace(/[&<>"']/g, (character) => ENTITIES[character]);
