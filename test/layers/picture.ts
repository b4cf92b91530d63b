/**
 * The rooms of `src` as a drawing: each stands on what it imports. Imports that follow from others are not drawn. Rows
 * by longest path, as in Sugiyama, Tagawa, Toda 1981, "Methods for visual understanding of hierarchical system
 * structures": an arrow across several rows has a place in each, neighbours decide the order, and places move towards
 * their neighbours.
 */
import { needsNode, roomOf } from "./check.ts";
import { type ImportsByFile, importedFile } from "./imports.ts";
import type { Rules } from "./rules.ts";

/** The rooms that each room imports from, in the order of the rules. Tests do not count. */
type RoomImports = ReadonlyMap<string, readonly string[]>;

function roomImports(files: ImportsByFile, { rooms }: Rules): RoomImports {
  const found = new Map<string, Set<string>>();
  for (const [file, imports] of files) {
    const from = roomOf(file);
    if (from === undefined || file.endsWith(".test.ts")) continue;
    const to = imports.flatMap((imported) => roomOf(importedFile(file, imported) ?? "") ?? []);
    found.set(from, new Set([...(found.get(from) ?? []), ...to.filter((room) => room !== from)]));
  }
  const order = Object.keys(rooms).filter((room) => found.has(room));
  return new Map(order.map((room) => [room, order.filter((other) => found.get(room)?.has(other))]));
}

export const PICTURE = new URL("../../docs/layout.svg", import.meta.url);

const CARD = { width: 188, height: 50, gap: 22 };
const LANE = 30;
const ROW = 96;
const WIDTH = 860;

interface Place {
  readonly room?: string;
  readonly row: number;
  readonly width: number;
  /** Centre. */
  x: number;
  readonly above: Place[];
  readonly below: Place[];
}

/** The drawing as SVG, the same for the same imports; colours follow the reader's light or dark theme. */
export function drawRooms(files: ImportsByFile, rules: Rules): string {
  const imports = roomImports(files, rules);
  const { places, arrows } = placeRooms(imports);
  const top = Math.max(...places.map(({ row }) => row));
  const y = (row: number) => 20 + (top - row) * ROW;
  const height = y(0) + CARD.height + 52;
  const lines = arrows.map((arrow) => `  <path class="arrow" marker-end="url(#head)" d="${curve(arrow, y)}"/>`);
  const cards = places.flatMap(({ room, row, x }) => {
    if (room === undefined) return [];
    const left = round(x - CARD.width / 2);
    return [
      `  <g class="${platformOf(room, files, rules)}" transform="translate(${left} ${y(row)})">`,
      `    <rect width="${CARD.width}" height="${CARD.height}" rx="9"/>`,
      `    <text class="name" x="${CARD.width / 2}" y="21">${room}</text>`,
      `    <text class="about" x="${CARD.width / 2}" y="38">${rules.rooms[room].about}</text>`,
      "  </g>",
    ];
  });
  const legend = (["browser", "both", "node"] as const).flatMap((platform, i) => [
    `  <g class="${platform}" transform="translate(${125 + 230 * i} ${height - 26})">`,
    `    <rect width="22" height="14" rx="4"/>`,
    `    <text class="key" x="32" y="11.5">${LEGEND[platform]}</text>`,
    "  </g>",
  ]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="The folders of src and what each imports">`,
    STYLE,
    `  <marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head" d="M0 0.5 8 4 0 7.5z"/></marker>`,
    ...lines,
    ...cards,
    ...legend,
    "</svg>",
    "",
  ].join("\n");
}

const LEGEND = { browser: "runs in a browser as it is", both: "some of its files need Node", node: "needs Node" };

const STYLE = `  <style>
    text { font-family: ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif; text-anchor: middle; fill: #1f2328 }
    .name { font-size: 15px; font-weight: 650 } .about { font-size: 11.5px; fill: #59636e } .key { font-size: 12px; text-anchor: start }
    rect { stroke-width: 1.25 }
    .browser rect { fill: #e6f4ea; stroke: #4c9a6a } .both rect { fill: #e8f0fb; stroke: #5b8bd0 } .node rect { fill: #f3eefa; stroke: #9a7bc8 }
    .arrow { fill: none; stroke: #8c959f; stroke-width: 1.4 } .head { fill: #8c959f }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .about { fill: #9198a1 }
      .browser rect { fill: #12261b; stroke: #3f8a5c } .both rect { fill: #13223a; stroke: #4a78bb } .node rect { fill: #231a33; stroke: #8465b5 }
      .arrow { stroke: #6e7681 } .head { fill: #6e7681 }
    }
  </style>`;

function platformOf(room: string, files: ImportsByFile, rules: Rules): keyof typeof LEGEND {
  const inside = [...files.keys()].filter((file) => roomOf(file) === room && !file.endsWith(".test.ts"));
  const nodes = inside.filter((file) => needsNode(file, rules)).length;
  return nodes === 0 ? "browser" : nodes === inside.length ? "node" : "both";
}

/** Rooms in rows, an arrow of several rows with a lane in each between; and the arrows, from importer to imported. */
function placeRooms(imports: RoomImports): { places: Place[]; arrows: Place[][] } {
  const rowOf = new Map<string, number>();
  for (const [room, targets] of imports) rowOf.set(room, Math.max(-1, ...targets.map((to) => rowOf.get(to) ?? 0)) + 1);
  const newPlace = (row: number, width: number, room?: string): Place => ({
    ...{ row, width, x: WIDTH / 2, above: [], below: [] },
    ...(room !== undefined && { room }),
  });
  const cards = new Map([...rowOf].map(([room, row]) => [room, newPlace(row, CARD.width + CARD.gap, room)]));
  const places = [...cards.values()];
  const arrows: Place[][] = [];
  for (const [room, to] of directImports(imports)) {
    const [start, end] = [room, to].map((name) => cards.get(name) as Place);
    const lanes = Array.from({ length: start.row - end.row - 1 }, (_, i) => newPlace(start.row - 1 - i, LANE));
    const arrow = [start, ...lanes, end];
    for (const [i, place] of arrow.slice(1).entries()) {
      arrow[i].below.push(place);
      place.above.push(arrow[i]);
    }
    places.push(...lanes);
    arrows.push(arrow);
  }
  const rows = [...new Set(places.map(({ row }) => row))].sort((a, b) => a - b);
  // First the order, by neighbours on one side; then the places, by those on both.
  for (let sweep = 0; sweep < 100; sweep++) {
    for (const row of sweep % 2 === 0 ? rows : rows.toReversed()) {
      const members = places.filter((place) => place.row === row);
      for (const place of members) {
        const neighbours = sweep % 2 === 0 ? place.below : place.above;
        place.x = middleOf(place, sweep < 24 ? neighbours : [...place.below, ...place.above]);
      }
      spread(members.sort((a, b) => a.x - b.x));
    }
  }
  const left = Math.min(...places.map(({ x, width }) => x - width / 2));
  const right = Math.max(...places.map(({ x, width }) => x + width / 2));
  for (const place of places) place.x += (WIDTH - left - right) / 2;
  return { places, arrows };
}

/** The imports that do not follow from other imports. */
function directImports(imports: RoomImports): [string, string][] {
  const reaches = (from: string, to: string): boolean =>
    (imports.get(from) ?? []).some((next) => next === to || reaches(next, to));
  return [...imports].flatMap(([room, targets]) =>
    targets
      .filter((to) => !targets.some((other) => other !== to && reaches(other, to)))
      .map((to): [string, string] => [room, to]),
  );
}

/** The mean of a place's neighbours; lanes pull strongly at lanes, so that long arrows are straight. */
function middleOf(place: Place, neighbours: readonly Place[]): number {
  const pulls = neighbours.map((other) => (place.room === undefined && other.room === undefined ? 8 : 1));
  const sum = pulls.reduce((total, pull) => total + pull, 0);
  return sum === 0 ? place.x : neighbours.reduce((total, { x }, i) => total + pulls[i] * x, 0) / sum;
}

/** Moves the places of a row apart, in their order and as little as possible: least squares, by pooling neighbours. */
function spread(row: readonly Place[]): void {
  const weightOf = ({ room }: Place) => (room === undefined ? 8 : 1);
  const offsets = new Map<Place, number>();
  const blocks: { members: Place[]; weight: number; x: number }[] = [];
  let offset = 0;
  for (const [i, place] of row.entries()) {
    if (i > 0) offset += (row[i - 1].width + place.width) / 2;
    offsets.set(place, offset);
    let block = { members: [place], weight: weightOf(place), x: place.x - offset };
    for (let last = blocks.at(-1); last !== undefined && last.x > block.x; last = blocks.at(-1)) {
      const weight = last.weight + block.weight;
      const x = (last.weight * last.x + block.weight * block.x) / weight;
      block = { members: [...last.members, ...block.members], weight, x };
      blocks.pop();
    }
    blocks.push(block);
  }
  for (const { members, x } of blocks) for (const place of members) place.x = x + (offsets.get(place) ?? 0);
}

/** Down from the importer, straight along lanes, to the top of what is imported. */
function curve(arrow: readonly Place[], y: (row: number) => number): string {
  const [start, end] = [arrow[0], arrow[arrow.length - 1]];
  let x = round(port(start, start.below, arrow[1]));
  let at = y(start.row) + CARD.height;
  let path = `M${x} ${at}`;
  for (const [i, place] of arrow.slice(1).entries()) {
    const next = round(place === end ? port(end, end.above, arrow[i]) : place.x);
    const to = y(place.row) - (place === end ? 2 : 0);
    const middle = (at + to) / 2;
    path += `C${x} ${middle} ${next} ${middle} ${next} ${to}`;
    x = next;
    at = to;
    if (place === end) return path;
    at += CARD.height;
    path += `V${at}`;
  }
  return path;
}

/** Where on a card an arrow begins or ends: side by side, in the order of where they come from. */
function port(card: Place, others: readonly Place[], other: Place): number {
  const order = others.toSorted((a, b) => a.x - b.x);
  return card.x + (order.indexOf(other) - (order.length - 1) / 2) * Math.min(24, 120 / order.length);
}

function round(x: number): number {
  return Math.round(10 * x) / 10;
}
