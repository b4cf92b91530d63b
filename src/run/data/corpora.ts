/** The corpora of a run: their tokens, shares and names, and the run folder that is named after them. */
import { basename, dirname, extname, join, resolve } from "node:path";
import { corporaIn } from "../../config/corpora.ts";
import type { RunConfig } from "../../config/run-config.ts";
import type { DataSpec } from "../../data/data-spec.ts";
import { isHubAddress } from "../../data/sources/hub/address.ts";
import { type NamedCorpus, withBorder } from "../../training/corpora.ts";
import type { RunData } from "./run-tokens.ts";

/** What is trained on. */
export function corporaOf(config: RunConfig, { train, digests, tokenizer }: RunData): NamedCorpus[] {
  const parts = corporaIn(config);
  const names = partNames(parts.map(({ path }) => path));
  return parts.map(({ weight }, i) => {
    const sequence = withBorder(config, tokenizer, train[i]);
    return { name: names[i], weight, sequence, digest: digests[i] };
  });
}

/** Absolute, where it is a path. */
export function dataPath(data: DataSpec): DataSpec {
  if (typeof data !== "string") return data.map((path) => resolve(path));
  return data === "-" || isHubAddress(data) ? data : resolve(data);
}

/** Short names of corpora, all different: book, c4-en, book-2. */
export function partNames(specs: readonly DataSpec[]): string[] {
  const names: string[] = [];
  for (const spec of specs) {
    const name = shortName(spec);
    let own = name;
    for (let i = 2; names.includes(own); i++) own = `${name}-${i}`;
    names.push(own);
  }
  return names;
}

/** runs/<name of the data without its ending>; of a mixture the names of the first few, joined by "+". */
export function defaultRunFolder(specs: readonly DataSpec[]): string {
  return join("runs", specs.slice(0, 4).map(shortName).join("+"));
}

/** The name of a path without its ending; of hub:c4/en c4-en, of a pattern its folder's, of standard input stdin. */
function shortName(spec: DataSpec): string {
  const data = typeof spec === "string" ? spec : spec[0];
  if (data === "-") return "stdin";
  if (isHubAddress(data)) {
    return data
      .slice("hub:".length)
      .replace(/@[^/]*/, "")
      .replace(/[^\w.-]+/g, "-");
  }
  const path = resolve(data);
  const name = basename(/[*?[{]/.test(basename(path)) ? dirname(path) : path);
  return basename(name, extname(name)).replace(/[*?[\]{}]/g, "") || "text";
}
