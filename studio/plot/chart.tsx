/** A plot with its title and the values at the pointer. To a screen reader it is a slider along x that says them. */
import { effect } from "@preact/signals";
import { useEffect, useId, useLayoutEffect, useRef } from "preact/hooks";
import { dark } from "../base/scheme.ts";
import { type Curve, Drawing, HEIGHT } from "./drawing.ts";
import { onGestures } from "./gestures.ts";
import { type Extent, type Group, gesturesOf, pressKey, seen } from "./group.ts";
import { nearest } from "./points.ts";

interface Props {
  readonly group: Group;
  readonly title: string;
  /** Of y, such as "nats a token". */
  readonly unit: string;
  readonly curves: readonly Curve[];
  readonly extent: Extent;
  readonly logY: boolean;
  /** What x is: "step". */
  readonly axis: string;
  readonly formatX: (value: number, apart?: number) => string;
  readonly formatY: (value: number) => string;
}

const LEAST_WIDTH = 120;

export function Chart(props: Props) {
  const { group, title, unit, curves, extent, logY } = props;
  const id = useId();
  const host = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing>(undefined);
  const latest = useRef(props);
  latest.current = props;
  // A new drawing for another look, not for more points.
  const look = JSON.stringify([curves.map(({ points, ...rest }) => rest), extent.log, logY, props.axis, dark.value]);

  useLayoutEffect(() => {
    if (host.current === null || look === "") return;
    return attach(host.current, latest, drawing);
  }, [look]);

  useEffect(() => {
    if (drawing.current === undefined) return;
    drawing.current.curves = curves;
    drawing.current.draw(seen(group, extent));
  }, [curves, extent, group]);

  const { from, to } = group.view.value ?? extent;
  return (
    <figure class="chart">
      <figcaption>
        <span id={id} class="chart-title">
          {title}
        </span>{" "}
        <span class="quiet">{unit}</span>
        <Readout {...props} />
      </figcaption>
      <div
        ref={host}
        class="plot"
        role="slider"
        aria-labelledby={id}
        aria-describedby="plot-keys"
        aria-valuemin={from}
        aria-valuemax={to}
        aria-valuenow={group.pointer.value ?? to}
        aria-valuetext={spoken(props)}
        tabIndex={0}
        style={{ height: `${HEIGHT}px` }}
        onKeyDown={(event) => {
          if (event.altKey || event.ctrlKey || event.metaKey) return;
          if (pressKey(group, extent, event.key)) event.preventDefault();
        }}
      />
    </figure>
  );
}

interface Latest {
  readonly current: Props;
}

/** Draws into the element whenever the window, the size or the pointer changes; returns what ends that. */
function attach(element: HTMLElement, latest: Latest, drawing: { current: Drawing | undefined }): () => void {
  const { group, extent, ...given } = latest.current;
  const width = () => Math.max(LEAST_WIDTH, element.clientWidth);
  const plot = new Drawing(element, { ...given, logX: extent.log }, width());
  drawing.current = plot;
  let frame = 0;
  let seenAtAll = true;
  const draw = () => {
    frame = 0;
    if (!seenAtAll) return;
    plot.draw(seen(group, latest.current.extent));
    plot.point(group.pointer.peek());
  };
  const soon = () => {
    if (frame === 0) frame = requestAnimationFrame(draw);
  };
  const size = new ResizeObserver(() => {
    plot.resize(width());
    soon();
  });
  size.observe(element);
  // A plot that is scrolled away is drawn when it comes back.
  const sight = new IntersectionObserver((entries) => {
    seenAtAll = entries[entries.length - 1].isIntersecting;
    if (seenAtAll) soon();
  });
  sight.observe(element);
  const endings = [
    effect(() => {
      if (group.view.value !== null) soon();
    }),
    effect(() => plot.point(group.pointer.value)),
    onGestures(
      plot.area,
      gesturesOf(group, () => latest.current.extent, plot),
    ),
    () => size.disconnect(),
    () => sight.disconnect(),
    () => cancelAnimationFrame(frame),
    () => plot.destroy(),
  ];
  draw();
  return () => {
    for (const end of endings) end();
  };
}

/** Of each curve the value nearest to the pointer, or else its last. */
function valuesOf({ curves, group }: Props) {
  const pointer = group.pointer.value;
  return curves
    .filter((curve) => !curve.faint)
    .map(({ name, color, points }) => {
      const at = pointer === undefined ? lastOf(points.y) : nearest(points, pointer);
      return { name, color, value: at === undefined ? undefined : points.y[at] };
    });
}

function lastOf(values: Float64Array): number | undefined {
  const at = values.findLastIndex((value) => !Number.isNaN(value));
  return at < 0 ? undefined : at;
}

function Readout(props: Props) {
  const { group, axis, formatX, formatY } = props;
  const pointer = group.pointer.value;
  return (
    <span class="readout">
      {pointer !== undefined && <span class="quiet">{`${axis} ${formatX(pointer)}`}</span>}
      {valuesOf(props).map(({ name, color, value }) => (
        <span key={name} class="reading" title={name}>
          <span class="dot" style={{ background: `var(${color})` }} />
          <span class="hidden">{name} </span>
          {value === undefined ? "–" : formatY(value)}
        </span>
      ))}
    </span>
  );
}

function spoken(props: Props): string {
  const { group, axis, formatX, formatY } = props;
  const pointer = group.pointer.value;
  const values = valuesOf(props).map(({ name, value }) => `${name}: ${value === undefined ? "none" : formatY(value)}`);
  return `${pointer === undefined ? "last" : `${axis} ${formatX(pointer)}`}; ${values.join("; ")}`;
}
