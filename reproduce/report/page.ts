/** The page around the report: one HTML file that needs nothing else, readable in light and dark and on paper. */
import { colourVariables, type LinePlot, linePlot } from "./plots.ts";

/** Text as HTML. */
function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** The head of a column, and the plain text of its cells. Numbers stand on the right: their heads begin with #. */
export type Column<Row> = readonly [head: string, cell: (row: Row) => string];

/** A table; the first column heads its rows. */
export function table<Row>(caption: string, rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const all = columns.map(([head, cell]) => ({
    ...{ head: escapeHtml(head.replace(/^#/, "")), cell, side: head.startsWith("#") ? ' class="n"' : "" },
  }));
  const head = all.map(({ head, side }) => `<th scope="col"${side}>${head}</th>`).join("");
  const body = rows.map((row) => {
    const cells = all.map(({ cell, side }, i) => {
      const text = escapeHtml(cell(row));
      return i === 0 ? `<th scope="row">${text}</th>` : `<td${side}>${text}</td>`;
    });
    return `<tr>${cells.join("")}</tr>`;
  });
  return `<div class="scroll"><table><caption>${escapeHtml(caption)}</caption><thead><tr>${head}</tr></thead><tbody>${body.join("\n")}</tbody></table></div>`;
}

export function figure(plot: LinePlot, caption: string): string {
  return `<figure>${linePlot(plot)}<figcaption>${escapeHtml(caption)}</figcaption></figure>`;
}

export function paragraph(text: string): string {
  return `<p>${escapeHtml(text)}</p>`;
}

export function list(items: readonly string[]): string {
  return `<ul>${items.map((item) => `<li>${escapeHtml(item)}</li>`).join("\n")}</ul>`;
}

export interface Section {
  readonly id: string;
  readonly title: string;
  /** HTML; nothing of a section without parts is shown. */
  readonly parts: readonly string[];
}

export function page(title: string, lead: string, sections: readonly Section[]): string {
  const shown = sections.filter(({ parts }) => parts.some((part) => part !== ""));
  const links = shown.map(({ id, title: name }) => `<a href="#${id}">${escapeHtml(name)}</a>`).join(" · ");
  const bodies = shown.map(
    ({ id, title: name, parts }) =>
      `<section id="${id}">\n<h2>${escapeHtml(name)}</h2>\n${parts.join("\n")}\n</section>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${style()}</style>
</head>
<body>
<header>
<h1>${escapeHtml(title)}</h1>
${lead}
<nav>${links}</nav>
</header>
<main>
${bodies.join("\n")}
</main>
</body>
</html>
`;
}

const style = () => `
:root{--text:#1b1f24;--quiet:#57606a;--line:#d0d7de;--back:#ffffff;--raised:#f6f8fa;${colourVariables("light")}}
@media (prefers-color-scheme:dark){:root{--text:#e6edf3;--quiet:#9aa4ae;--line:#30363d;--back:#0d1117;--raised:#161b22;${colourVariables("dark")}}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:74rem;padding:2.5rem 1.25rem 5rem;background:var(--back);color:var(--text);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .75rem}
h2{font-size:1.35rem;margin:3rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:2rem 0 .5rem}
p,li{max-width:46rem}
nav{margin:1rem 0;color:var(--quiet)}
a{color:inherit;text-underline-offset:.2em}
.findings{background:var(--raised);border:1px solid var(--line);border-radius:8px;padding:.25rem 1.25rem}
.quiet,figcaption,caption{color:var(--quiet);font-size:.9rem}
figure{margin:1.25rem 0;max-width:40rem}
figure svg{width:100%;height:auto}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(24rem,1fr));gap:0 1.5rem}
.scroll{overflow-x:auto;margin:1.25rem 0}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums;min-width:24rem}
caption{text-align:left;padding-bottom:.4rem}
th,td{text-align:left;padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
thead th{color:var(--quiet);font-weight:600;border-bottom-width:2px}
tbody th{font-weight:600;white-space:nowrap}
.n{text-align:right;white-space:nowrap}
td:not(.n):not(:empty){min-width:9rem}
@media (max-width:30rem){.pair{grid-template-columns:1fr}}
@media print{body{max-width:none;padding:0}section{break-inside:auto}figure,table{break-inside:avoid}}
`;
