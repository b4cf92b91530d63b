/** Where one is: the part of the address after #, as a page and its arguments, so that every view has an address. */
import { computed, signal } from "@preact/signals";

export interface Route {
  /** "runs", "train", "write", … */
  readonly page: string;
  readonly query: URLSearchParams;
}

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

export const route = computed<Route>(() => {
  const [path, query = ""] = hash.value.replace(/^#\/?/, "").split("?");
  return { page: path === "" ? "runs" : path, query: new URLSearchParams(query) };
});

/** The address of a page, for a link. */
export function address(
  page: string,
  query: Readonly<Record<string, string | undefined>> | URLSearchParams = {},
): string {
  const given = query instanceof URLSearchParams ? [...query] : Object.entries(query);
  const pairs = given.filter((pair): pair is [string, string] => pair[1] !== undefined);
  return `#/${page}${pairs.length === 0 ? "" : `?${new URLSearchParams(pairs)}`}`;
}

/** Changes arguments of the page that is shown, without a step in the history of the browser. */
export function change(update: (query: URLSearchParams) => void): void {
  const { page, query } = route.peek();
  const changed = new URLSearchParams(query);
  update(changed);
  history.replaceState(null, "", address(page, changed));
  hash.value = location.hash;
}

/** Sets one argument, or takes it away when it is what it is anyway. */
export function setArgument(name: string, value: string, otherwise = ""): void {
  change((query) => (value === otherwise ? query.delete(name) : query.set(name, value)));
}

/** The token is in a cookie by now: it need not stay where it can be read over a shoulder. */
export function hideToken(): void {
  const url = new URL(location.href);
  if (!url.searchParams.has("token")) return;
  url.searchParams.delete("token");
  history.replaceState(null, "", url);
}
