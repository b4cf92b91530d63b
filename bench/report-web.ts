/** The report of training in a browser, for people. */
import { line, percent, show } from "./report-lines.ts";
import type { WebReport } from "./web.ts";

export function webText({
  preset,
  context,
  batch,
  threads,
  sides,
  againstJax,
  productShares,
  bestProduct,
  reason,
}: WebReport) {
  if (reason !== null) return `web: not measured: ${reason}`;
  const lines = [
    `web: preset ${preset} in Chromium, context ${context}, batch ${batch}, ${threads} threads of WebAssembly, AdamW; medians (quartiles)`,
    ...sides.map(({ name, milliseconds, firstLoss, lastLoss }) =>
      line(name, `${show(milliseconds, 0)} ms a step, loss ${firstLoss.toFixed(2)} to ${lastLoss.toFixed(2)}`),
    ),
  ];
  if (againstJax) lines.push(line("jax-js against Longhand", `${show(againstJax, 2)} times the time of a step`));
  for (const [name, share] of Object.entries(productShares))
    lines.push(line(name, `products alone ${percent(share)} of a step`));
  return [...lines, line("best plain product", `${bestProduct.toFixed(1)} GFLOP/s`)].join("\n");
}
