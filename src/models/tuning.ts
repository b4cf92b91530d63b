/** Which parameters of a model are trained: all, all but parts that are frozen, or adapters in place of them. */
import type { AdapterConfig, Tuning } from "../nn/scope.ts";
import type { ModelConfig } from "./architecture.ts";
import { parametersOf } from "./language-model.ts";

export type { AdapterConfig } from "../nn/scope.ts";

export interface TuningConfig {
  /** Parts that stay as they are: `embedding`, `layers.2`, `layers.0-3`. */
  readonly freeze?: readonly string[] | undefined;
  readonly adapter?: AdapterConfig | undefined;
}

export function tuningOf({ freeze, adapter }: TuningConfig): Tuning {
  const names = (freeze ?? []).flatMap((part) => [...namesIn(part)]);
  return { ...(freeze && { frozen: (path) => names.some((name) => isPart(path, name)) }), ...(adapter && { adapter }) };
}

/** What is wrong with the parts of this model that are to be frozen, if anything. */
export function freezeProblem(config: ModelConfig, freeze: readonly string[]): string | undefined {
  const paths = parametersOf(config).map(({ path }) => path);
  for (const part of freeze) {
    let count = 0;
    for (const name of namesIn(part)) {
      if (!paths.some((path) => isPart(path, name)))
        return `\`freeze\` ${part}: expected ${partsOf(paths)}, got ${name}`;
      count += 1;
    }
    if (count === 0) return `\`freeze\` ${part}: expected the smaller number first, as in layers.0-3`;
  }
  const { frozen } = tuningOf({ freeze });
  return paths.every((path) => frozen?.(path))
    ? "`freeze`: nothing is left to be trained; name fewer parts"
    : undefined;
}

/** layers.0, layers.1 and so on of layers.0-3, one by one, since the last number may be anything; else the name itself. */
function* namesIn(part: string): Iterable<string> {
  const [, before, first, last, after] = /^(.*\.|)(\d+)-(\d+)(\..*|)$/.exec(part) ?? [];
  if (first === undefined) yield part;
  else for (let i = Number(first); i <= Number(last); i++) yield `${before}${i}${after}`;
}

function isPart(path: string, name: string): boolean {
  return path === name || path.startsWith(`${name}.`);
}

/** embedding, layers.0-3, final or logits */
function partsOf(paths: readonly string[]): string {
  const layers = new Set(paths.map((path) => /^layers\.(\d+)/.exec(path)?.[1]).filter((index) => index !== undefined));
  const first = paths
    .map((path) => path.split(".")[0])
    .map((name) => (name === "layers" ? `layers.0-${layers.size - 1}` : name));
  const parts = [...new Set(first)];
  return `${parts.slice(0, -1).join(", ")} or ${parts[parts.length - 1]}`;
}
