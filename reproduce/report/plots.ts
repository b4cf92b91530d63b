/**
 * Line plots as SVG text, drawn by Observable Plot on a DOM of our own. Colours are CSS variables that the page sets
 * for light and dark; every series also has its own symbol, dashes and a label at its end, so that colour alone says
 * nothing.
 */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { architectures } from "longhand/models";
import { lookOf } from "../architectures.ts";

export interface Series {
  readonly label: string;
  /** The architecture whose colour, symbol and dashes it has. */
  readonly look: string;
  /** Another form of that architecture: the same colour with another symbol and dashes, by number; default: as it is. */
  readonly form?: number;
  readonly points: readonly PlotPoint[];
  /** A thin line that stands for something not measured. */
  readonly faint?: boolean;
}

export interface PlotPoint {
  readonly x: number;
  readonly y: number;
  /** Quartiles. */
  readonly low?: number;
  readonly high?: number;
}

export interface Axis {
  readonly label: string;
  readonly log: boolean;
  readonly ticks?: readonly number[];
  /** Begins at zero. */
  readonly fromZero?: boolean;
}

export interface LinePlot {
  /** What the plot shows, for those who do not see it. */
  readonly title: string;
  readonly series: readonly Series[];
  readonly x: Axis;
  readonly y: Axis;
  /** A horizontal line. */
  readonly level?: { readonly y: number; readonly label: string };
  /** Vertical lines. */
  readonly marks?: readonly { readonly x: number; readonly label: string }[];
  readonly width?: number;
}

/** The variable of the page that holds the colour of an architecture. */
export function variableOf(model: string): string {
  return `--${model.replaceAll("+", "p").replaceAll(".", "-")}`;
}

/** The colours of architectures as variables of a page. */
export const colourVariables = (mode: "light" | "dark") =>
  architectures()
    .map(({ name, look }) => `${variableOf(name)}:${look[mode]};`)
    .join("");

const colourOf = (model: string) => `var(${variableOf(model)},currentColor)`;

const HEIGHT = 340;
const MARGIN = { top: 24, right: 118, bottom: 44, left: 62 } as const;
const LABEL_GAP = 13;
/** Series whose names can stand where their lines end. */
const FEW = 4;
/** A logarithmic axis of a smaller span would have hardly a tick with a number. */
const NARROW = 4;

/** The same as a file of its own, for pages that show pictures: with its colours and a background. */
export function plotFile(plot: LinePlot): string {
  const rules = (mode: "light" | "dark", text: string, back: string) =>
    `svg{color:${text};background:${back};${colourVariables(mode)}}`;
  const light = rules("light", "#1b1f24", "#ffffff");
  const dark = `@media (prefers-color-scheme:dark){${rules("dark", "#e6edf3", "#0d1117")}}`;
  const [, attributes, content] = /^<svg ([^>]*)>(.*)$/s.exec(draw(plot, {})) ?? [];
  const named = attributes.includes("xmlns=") ? attributes : `xmlns="http://www.w3.org/2000/svg" ${attributes}`;
  return `<svg ${named}><style>${light}${dark}</style>${content}\n`;
}

export function linePlot(plot: LinePlot): string {
  return draw(plot, { background: "none", color: "inherit" });
}

function draw(plot: LinePlot, colours: Readonly<Record<string, string>>): string {
  const width = plot.width ?? 620;
  const series = plot.series.filter(({ points }) => points.length > 0);
  const y = domain(
    series.flatMap(({ points }) => points.flatMap((p) => [p.y, p.low ?? p.y, p.high ?? p.y])),
    plot,
  );
  const logY = plot.y.log && y[1] / y[0] > NARROW;
  const x = extent(series.flatMap(({ points }) => points.map((p) => p.x)));
  const { document } = parseHTML("<html><body></body></html>");
  const svg = Plot.plot({
    document,
    width,
    height: HEIGHT,
    ...{ marginTop: MARGIN.top, marginRight: MARGIN.right, marginBottom: MARGIN.bottom, marginLeft: MARGIN.left },
    style: { fontSize: "12px", ...colours },
    x: scale(plot.x, x[0] === x[1] ? [x[0] * 0.9, x[1] * 1.1] : x),
    y: { ...scale({ ...plot.y, log: logY }, y), grid: true },
    marks: [
      ...(plot.level === undefined
        ? []
        : [
            Plot.ruleY([plot.level.y], { stroke: "currentColor", strokeOpacity: 0.5, strokeDasharray: "3 3" }),
            Plot.text([plot.level.label], {
              ...{ x: x[1], y: plot.level.y, dx: -12, dy: -8, textAnchor: "end" },
              ...{ fill: "currentColor", fillOpacity: 0.75 },
            }),
          ]),
      ...(plot.marks ?? []).flatMap(({ x, label }) => [
        Plot.ruleX([x], { stroke: "currentColor", strokeOpacity: 0.5, strokeDasharray: "3 3" }),
        Plot.text([label], {
          ...{ x, frameAnchor: "top", dx: 5, dy: -14, textAnchor: "start" },
          ...{ fill: "currentColor", fillOpacity: 0.75 },
        }),
      ]),
      ...series.flatMap(marksOf),
      ...labels(series, y, logY, series.length > FEW ? x[1] : undefined),
    ],
  });
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", plot.title);
  return svg.outerHTML;
}

function scale({ label, log, ticks }: Axis, own: readonly [number, number]): Plot.ScaleOptions {
  const format = (value: number) =>
    Math.abs(value) >= 1 ? value.toLocaleString("en-US") : String(Number(value.toPrecision(2)));
  return {
    type: log ? "log" : "linear",
    // With base 10 the ticks of contexts would lose their labels.
    ...(log && ticks !== undefined ? { base: 2 } : {}),
    domain: [...own],
    label,
    labelAnchor: "center",
    labelArrow: "none",
    ...(ticks === undefined ? { ticks: 6 } : { ticks: [...ticks] }),
    tickFormat: log && ticks === undefined ? (value: number) => (leadingDigit(value) ? format(value) : "") : format,
  };
}

/** On a logarithmic axis only 1, 2 and 5 are written. */
function leadingDigit(value: number): boolean {
  const lead = value / 10 ** Math.floor(Math.log10(value) + 1e-9);
  return [1, 2, 5].some((digit) => Math.abs(lead - digit) < 1e-6);
}

/** Symbols and dashes of forms. */
const FORMS = [
  ["square", "5 3"],
  ["triangle", "2 3"],
  ["diamond", "8 3"],
  ["star", "8 3 2 3"],
  ["cross", "1 3"],
  ["wye", "5 2 1 2"],
] as const;

function marksOf({ look, form = 0, points, faint }: Series): Plot.Markish[] {
  const colour = colourOf(look);
  const own = lookOf(look);
  const [symbol, dashes] = form === 0 ? [own.symbol, own.dashes] : FORMS[form % FORMS.length];
  const data = [...points];
  if (faint) {
    return [
      Plot.line(data, { x: "x", y: "y", stroke: colour, strokeWidth: 1.2, strokeDasharray: "2 4", strokeOpacity: 0.8 }),
    ];
  }
  return [
    Plot.line(data, { x: "x", y: "y", stroke: colour, strokeWidth: 2, strokeDasharray: dashes }),
    Plot.ruleX(
      data.filter((point) => point.low !== undefined),
      { x: "x", y1: "low", y2: "high", stroke: colour, strokeWidth: 1.2 },
    ),
    Plot.dot(data, { x: "x", y: "y", symbol, r: 3.6, fill: colour, stroke: colour }),
  ];
}

/**
 * Names beside the last points, or at the right edge where there are many, moved apart where they would cover each
 * other.
 */
function labels(
  series: readonly Series[],
  y: readonly [number, number],
  log: boolean,
  edge: number | undefined,
): Plot.Markish[] {
  const inner = HEIGHT - MARGIN.top - MARGIN.bottom;
  const along = (value: number) => (log ? Math.log(value) : value);
  const [low, high] = y.map(along);
  const place = (value: number) => inner * (1 - (along(value) - low) / (high - low));
  const ends = series
    .map((each) => ({ each, last: each.points[each.points.length - 1] }))
    .map(({ each, last }) => ({ each, last, at: place(last.y), wanted: place(last.y) }))
    .sort((a, b) => a.at - b.at);
  for (let i = 1; i < ends.length; i++) ends[i].at = Math.max(ends[i].at, ends[i - 1].at + LABEL_GAP);
  let floor = inner + 4;
  for (let i = ends.length - 1; i >= 0; i--) {
    ends[i].at = Math.min(ends[i].at, floor);
    floor = ends[i].at - LABEL_GAP;
  }
  return ends.map(({ each, last, at, wanted }) =>
    Plot.text([each.label], {
      ...{ x: edge ?? last.x, y: last.y, dx: 9, dy: at - wanted, textAnchor: "start" },
      ...{ fill: colourOf(each.look), fontWeight: each.faint ? "normal" : "600" },
    }),
  );
}

function domain(values: readonly number[], { y, level }: LinePlot): [number, number] {
  const [low, high] = extent(level === undefined ? values : [...values, level.y]);
  if (y.log) return [low / 1.15, high * 1.15];
  const room = 0.06 * (high - low || high || 1);
  return [y.fromZero ? 0 : low - room, high + room];
}

function extent(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}
