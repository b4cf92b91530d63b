/** What `hub:…` means: a recipe (`hub:wiki40b/en`) or any data set (`hub:owner/name@revision/path`). */
import { LonghandError, nearest } from "../../../base/errors.ts";
import { type CorpusRecipe, recipes } from "../../recipes.ts";

export interface HubAddress {
  /** Data set: owner/name. */
  readonly repo: string;
  readonly revision: string | undefined;
  /** The recipe with its configuration, or the file, folder or pattern that was given; neither: the whole data set. */
  readonly recipe?: { readonly recipe: CorpusRecipe; readonly config: string | undefined };
  readonly path?: string;
  /** The same address at a commit. */
  readonly at: (commit: string) => string;
}

const PREFIX = "hub:";

export function isHubAddress(data: string): boolean {
  return data.startsWith(PREFIX);
}

/**
 * Throws "usage" for what is no address, an unknown recipe or an unknown configuration of one. A revision with a slash
 * in it is written with %2F.
 */
export function parseHubAddress(data: string): HubAddress {
  const refuse = (problem: string): never => {
    throw new LonghandError("usage", `\`data\` ${data}: ${problem}`);
  };
  const text = data.slice(PREFIX.length);
  const [, first = "", second, revision, rest] =
    /^([^/@]+)(?:\/([^/@]+))?(?:@([^/@]+))?(?:\/(.+?))?\/?$/.exec(text) ?? [];
  const recipe = recipes.find(({ name }) => name === first);
  const wanted = revision === undefined ? undefined : decodeURIComponent(revision);
  if (wanted !== undefined && (!/^[\w./-]+$/.test(wanted) || wanted.split("/").includes(".."))) {
    refuse(`${JSON.stringify(wanted)} is not a revision: expected a branch, a tag or a commit`);
  }
  if (recipe !== undefined) {
    const config = [second, rest].filter((part) => part !== undefined).join("/") || recipe.config?.default;
    if (recipe.config === undefined && config !== undefined)
      refuse(`${recipe.name} has no parts: expected hub:${recipe.name}`);
    if (recipe.config !== undefined && !recipe.config.choices.includes(config ?? "")) {
      const guess = nearest(config ?? "", recipe.config.choices);
      refuse(
        `expected one of the ${recipe.config.what}s ${recipe.config.choices.join(", ")}${guess === undefined ? "" : ` (did you mean ${guess}?)`}`,
      );
    }
    const end = config === undefined ? "" : `/${config}`;
    const at = (commit: string) => `${PREFIX}${recipe.name}@${commit}${end}`;
    return { repo: recipe.repo, revision: wanted, recipe: { recipe, config }, at };
  }
  if (second === undefined || ![first, second].every((part) => /^[\w.-]+$/.test(part) && !/^\.+$/.test(part))) {
    const names = recipes.map(({ name }) => name);
    const guess = nearest(first, names);
    refuse(
      `expected hub:owner/name or one of ${names.map((name) => PREFIX + name).join(", ")}${guess === undefined ? "" : ` (did you mean ${PREFIX}${guess}?)`}`,
    );
  }
  const repo = `${first}/${second}`;
  const at = (commit: string) => `${PREFIX}${repo}@${commit}${rest === undefined ? "" : `/${rest}`}`;
  return { repo, revision: wanted, at, ...(rest === undefined ? {} : { path: rest }) };
}
