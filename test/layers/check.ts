/** Holds the imports of every file to the rules: who may import whom, no circles, no Node in what runs in a browser. */
import { type Import, type ImportsByFile, importedFile } from "./imports.ts";
import type { Rules } from "./rules.ts";

/** One sentence for each import or circle that breaks a rule: the file, the import, the rule. */
export function findProblems(files: ImportsByFile, rules: Rules): string[] {
  const problems: string[] = [];
  for (const [file, imports] of files) {
    for (const imported of imports) {
      const ofTests = file.endsWith(".test.ts") || file.startsWith("test/");
      const broken = ofTests ? undefined : brokenRule(file, imported, rules);
      if (broken !== undefined) problems.push(`${file}: imports "${imported.name}": ${broken}`);
    }
  }
  for (const room of roomsOf(files)) {
    if (rules.rooms[room] === undefined) problems.push(`src/${room}: this folder has no rule; add one`);
  }
  return [...problems, ...misplacedRooms(rules), ...circles(files, rules)];
}

/** The room of a file of `src`; undefined for one directly in it, and for all other files. */
export function roomOf(file: string): string | undefined {
  return /^src\/([^/]+)\//.exec(file)?.[1];
}

function roomsOf(files: ImportsByFile): Set<string> {
  return new Set([...files.keys()].flatMap((file) => roomOf(file) ?? []));
}

function brokenRule(file: string, imported: Import, rules: Rules): string | undefined {
  const target = importedFile(file, imported);
  if (imported.name.startsWith("onnxruntime") && !matches(file, rules.engines)) {
    return `only src/${rules.engines} names the runtime`;
  }
  const folder = file.slice(0, file.indexOf("/"));
  if (rules.byName.includes(folder) && target?.startsWith("src/")) return `${folder} imports the package by its name`;
  if (Object.hasOwn(rules.pages, folder)) return wrongOnPage(folder, file, target, imported, rules);
  if (folder !== "src") return undefined;
  if (/^longhand(\/|$)/.test(imported.name) && roomOf(file) !== "cli") return "src imports its files by their paths";
  return (target && wrongRoom(file, target, rules)) ?? wrongPlatform(file, target, imported, rules);
}

/** A page runs in a browser, and what it needs of `src` is a few files. The files that say how it is built run in Node. */
function wrongOnPage(
  page: string,
  file: string,
  target: string | undefined,
  { name }: Import,
  { pages }: Rules,
): string | undefined {
  if (file.endsWith("/vite.config.ts") || file.endsWith(".node.ts")) return undefined;
  if (name.startsWith("node:")) return "this file must run in a browser";
  const ofSource = target?.startsWith("src/") && !pages[page].includes(target.slice("src/".length));
  return ofSource ? `of src, ${page} may import ${pages[page].join(", ") || "nothing but longhand/web"}` : undefined;
}

function wrongRoom(file: string, target: string, { rooms }: Rules): string | undefined {
  const from = roomOf(file);
  const to = roomOf(target);
  if (from === undefined || from === to) return undefined; // the published surface may re-export everything
  const may = rooms[from]?.imports ?? [];
  if (to !== undefined && (may.includes(to) || may.includes(target.slice("src/".length)))) return undefined;
  return `${from} may import ${may.length === 0 ? "no other room" : may.join(", ")}`;
}

/** What runs in a browser needs no Node: not itself, and not by way of what it loads. */
function wrongPlatform(
  file: string,
  target: string | undefined,
  { name, typeOnly }: Import,
  rules: Rules,
): string | undefined {
  const { browserPackages } = rules;
  if (needsNode(file, rules)) return undefined;
  if (name.startsWith("node:")) return "this file must run in a browser";
  if (typeOnly) return undefined;
  if (target === undefined) {
    const runs = browserPackages.some((known) => name === known || name.startsWith(`${known}/`));
    return runs ? undefined : `this file must run in a browser, and so may load only ${browserPackages.join(", ")}`;
  }
  return needsNode(target, rules) ? "this file must run in a browser, and the imported one needs Node" : undefined;
}

/** Whether a file of `src` may need Node, by the rules. */
export function needsNode(file: string, { node }: Rules): boolean {
  return node.some((pattern) => matches(file, pattern));
}

function matches(file: string, pattern: string): boolean {
  const path = file.slice("src/".length);
  if (pattern.endsWith("/")) return path.startsWith(pattern);
  const [begin, end] = pattern.split("*");
  return end === undefined ? path === pattern : path.startsWith(begin) && path.endsWith(end);
}

/** A room stands after what it imports: so no two can import each other, not even by way of others. */
function misplacedRooms({ rooms }: Rules): string[] {
  const order = Object.keys(rooms);
  return order.flatMap((room, at) =>
    rooms[room].imports
      .filter((name) => !order.slice(0, at).includes(name.split("/")[0]))
      .map((name) => `rule of ${room}: ${name} must stand above ${room} in the list of rooms`),
  );
}

/** Files that import each other in a circle, types included; and exceptions that are not needed. */
function circles(files: ImportsByFile, rules: Rules): string[] {
  const graph = new Map<string, string[]>();
  for (const [file, imports] of files) {
    const targets = imports.flatMap((imported) => importedFile(file, imported) ?? []);
    graph.set(file, [...new Set(targets)].sort());
  }
  const problems: string[] = [];
  for (const [from, to] of rules.circles) {
    const needed = graph.get(from)?.includes(to) && pathBetween(graph, to, from) !== undefined;
    if (!needed) problems.push(`exception ${from} -> ${to}: it closes no circle any more; remove it from the rules`);
  }
  for (const [from, to] of rules.circles) graph.set(from, graph.get(from)?.filter((target) => target !== to) ?? []);
  const told = new Set<string>();
  for (const file of graph.keys()) {
    const circle = told.has(file) ? undefined : pathBetween(graph, file, file);
    if (circle === undefined) continue;
    for (const member of circle) told.add(member);
    problems.push(`${[file, ...circle].join(" -> ")}: files must not import each other in a circle`);
  }
  return problems;
}

/** The files after `from` on a shortest path of imports to `to`, which is the last; undefined when there is none. */
function pathBetween(graph: ReadonlyMap<string, readonly string[]>, from: string, to: string): string[] | undefined {
  const before = new Map<string, string>();
  const queue = [from];
  for (const file of queue) {
    for (const target of graph.get(file) ?? []) {
      if (before.has(target)) continue;
      before.set(target, file);
      queue.push(target);
    }
    if (before.has(to)) break;
  }
  if (!before.has(to)) return undefined;
  const path = [to];
  for (let at = before.get(to) as string; at !== from; at = before.get(at) as string) path.unshift(at);
  return path;
}
