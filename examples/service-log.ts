/**
 * A log such as a small shop's services write, made from a seed: normal days, and one day among whose lines some are odd.
 * Beside that day a file says which lines they are, so that what finds them can be measured.
 *
 *   npx tsx examples/service-log.ts log 1 && longhand train --data log/week.log --out runs/log
 *   longhand score runs/log log/day.log
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomKey, randomUniform } from "longhand/nn";

export interface OddLine {
  /** In the day, from 1. */
  readonly line: number;
  readonly kind: OddKind;
}

export interface ServiceLog {
  readonly week: string;
  readonly day: string;
  readonly odd: readonly OddLine[];
}

export const oddKinds = ["new error", "wrong order", "impossible value", "unusual host"] as const;
export type OddKind = (typeof oddKinds)[number];

export interface ServiceLogSize {
  /** Requests a day; each writes about six lines. */
  readonly requests: number;
  readonly days: number;
  /** Odd lines of each kind. */
  readonly oddOfEach: number;
}

const HOSTS = ["web-1", "web-2", "web-3"];
const PATHS = ["/", "/cart", "/cart/add", "/checkout", "/search", "/item", "/login", "/static/app.js"];
const USERS = ["anna", "boris", "chen", "dana", "emil", "fatima", "goran", "hana"];

/** The same seed and size give the same log. */
export function serviceLog(seed: number, size: ServiceLogSize): ServiceLog {
  const random = randomness(seed);
  const days = Array.from({ length: size.days }, (_, day) => dayOf(day + 1, size.requests, random));
  const { lines, odd } = withOddLines(dayOf(size.days + 1, size.requests, random), size.oddOfEach, random);
  return { week: textOf(days.flat()), day: textOf(lines), odd };
}

interface Random {
  /** A whole number from 0 up to `end`, exclusive. */
  below(end: number): number;
  of<Value>(values: readonly Value[]): Value;
  hex(digits: number): string;
}

function randomness(seed: number): Random {
  const key = randomKey(seed, "service log");
  let count = 0;
  const below = (end: number) => Math.floor(randomUniform(key, count++) * end);
  return {
    below,
    of: (values) => values[below(values.length)],
    hex: (digits) => Array.from({ length: digits }, () => below(16).toString(16)).join(""),
  };
}

interface Entry {
  readonly seconds: number;
  readonly host: string;
  readonly text: string;
  readonly day: number;
}

/** Requests over a day, more of them at noon than at night; a check of health every minute, a backup every hour. */
function dayOf(day: number, requests: number, random: Random): Entry[] {
  const entries: Entry[] = [];
  const add = (seconds: number, host: string, text: string) => entries.push({ day, seconds, host, text });
  const length = 86_400;
  for (let i = 0; i < requests; i++) {
    const share = (i + random.below(1000) / 1000) / requests;
    const start = Math.floor(length * (share - (0.1 * Math.sin(2 * Math.PI * share)) / Math.PI));
    request(start, random, add);
  }
  const every = Math.max(60, Math.round((length * 4) / requests));
  for (let at = 0; at < length; at += every)
    add(at, "lb-1", `INFO health: 3 of 3 hosts up, ${20 + random.below(10)} ms`);
  for (let hour = 0; hour < 24; hour++) {
    add(hour * 3600, "db-1", `INFO backup: started, hour ${hour}`);
    add(hour * 3600 + 40, "db-1", `INFO backup: done in ${30 + random.below(10)} s, ${200 + random.below(50)} MB`);
  }
  return entries.sort((a, b) => a.seconds - b.seconds);
}

function request(start: number, random: Random, add: (seconds: number, host: string, text: string) => void): void {
  const id = random.hex(8);
  const [host, path, user] = [random.of(HOSTS), random.of(PATHS), random.of(USERS)];
  add(start, host, `INFO request ${id}: GET ${path} from 10.0.${random.below(4)}.${random.below(256)}`);
  add(start, host, `DEBUG request ${id}: session of ${user} found`);
  const rows = random.below(200);
  add(start, "db-1", `DEBUG query ${id}: ${rows} rows in ${1 + random.below(60)} ms`);
  if (random.below(20) === 0) add(start, host, `WARN request ${id}: slow query, ${500 + random.below(400)} ms`);
  if (random.below(12) === 0) add(start, host, `INFO request ${id}: cache miss for ${path}`);
  const status = random.below(40) === 0 ? 404 : 200;
  add(start, host, `INFO request ${id}: ${status} in ${10 + random.below(90)} ms, ${1 + random.below(64)} kB`);
}

const NEW_ERRORS = [
  "ERROR payment: certificate of gateway expired",
  "FATAL out of memory: killed process 4312 (node)",
  "ERROR db-1: deadlock detected, transaction rolled back",
  "ERROR disk: /var/lib/data is read-only",
  "ERROR auth: signature of token does not match",
];

/** Puts odd lines at random places, never two on one line, and says where they came to stand. */
function withOddLines(day: readonly Entry[], ofEach: number, random: Random): { lines: Entry[]; odd: OddLine[] } {
  const byPlace = new Map<number, { readonly kind: OddKind; readonly text: string; readonly host: string }>();
  for (const kind of oddKinds) {
    for (let i = 0; i < ofEach; i++) {
      let place = random.below(day.length);
      while (byPlace.has(place)) place = random.below(day.length);
      byPlace.set(place, { kind, ...oddEntry(kind, i, day[place].host, random) });
    }
  }
  const lines: Entry[] = [];
  const odd: OddLine[] = [];
  for (const [place, entry] of day.entries()) {
    lines.push(entry);
    const { kind, ...own } = byPlace.get(place) ?? {};
    if (kind === undefined) continue;
    lines.push({ ...entry, ...own });
    odd.push({ line: lines.length, kind });
  }
  return { lines, odd };
}

function oddEntry(kind: OddKind, i: number, host: string, random: Random): { text: string; host: string } {
  const id = random.hex(8);
  const web = random.of(HOSTS);
  switch (kind) {
    case "new error":
      return { host, text: NEW_ERRORS[i % NEW_ERRORS.length] };
    case "wrong order": // an end of something that has not begun
      return { host: web, text: `INFO request ${id}: 200 in ${10 + random.below(90)} ms, ${1 + random.below(64)} kB` };
    case "impossible value":
      return {
        host: "db-1",
        text: `DEBUG query ${id}: -${1 + random.below(99)} rows in ${9_000_000 + random.below(999)} ms`,
      };
    case "unusual host":
      return {
        host: `${random.of(["test", "old", "dev"])}-${7 + random.below(3)}`,
        text: `INFO request ${id}: GET ${random.of(PATHS)} from 10.0.${random.below(4)}.${random.below(256)}`,
      };
  }
}

function textOf(entries: readonly Entry[]): string {
  const two = (number: number) => String(number).padStart(2, "0");
  const line = ({ day, seconds, host, text }: Entry) => {
    const clock = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map((part) => two(Math.floor(part))).join(":");
    return `2024-03-${two(day)}T${clock} ${host} ${text}\n`;
  };
  return entries.map(line).join("");
}

if (process.argv[1]?.endsWith("service-log.ts")) {
  const [out = "log", seed = "1"] = process.argv.slice(2);
  const { week, day, odd } = serviceLog(Number(seed), { requests: 1000, days: 7, oddOfEach: 5 });
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, "week.log"), week);
  writeFileSync(join(out, "day.log"), day);
  writeFileSync(join(out, "odd.json"), `${JSON.stringify(odd)}\n`);
  console.log(`${out}: a week and a day, ${odd.length} of whose lines are odd`);
}
