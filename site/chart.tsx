/** The curve of a training: loss of each step, and of held-out text. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { figure } from "./format.ts";
import type { Shown } from "./state.ts";

const HEIGHT = 220;

export function Chart({ run }: { readonly run: Shown }) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef(run);
  useEffect(() => {
    const place = host.current as HTMLDivElement;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(place), dataOf(latest.current), place);
    };
    draw();
    const sizes = new ResizeObserver(() => plot.current?.setSize({ width: place.clientWidth, height: HEIGHT }));
    sizes.observe(place);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    return () => {
      sizes.disconnect();
      scheme.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, []);
  useEffect(() => {
    latest.current = run;
    plot.current?.setData(dataOf(run));
  }, [run.train, run.heldOut]);
  const [last, first] = [run.train.at(-1), run.train[0]];
  const said =
    last === undefined || first === undefined
      ? "Loss by step: nothing yet."
      : `Loss by step: ${figure(first.loss)} at step ${first.step}, ${figure(last.loss)} at step ${last.step}.`;
  return (
    <figure class="chart">
      <div ref={host} role="img" aria-label={said} />
      <figcaption class="quiet">
        <span class="key train" /> loss of a step <span class="key held-out" /> of text it has not seen, in nats a token
      </figcaption>
    </figure>
  );
}

function dataOf({ train, heldOut }: Shown): uPlot.AlignedData {
  const steps = [...new Set([...train, ...heldOut].map(({ step }) => step))].sort((a, b) => a - b);
  const byStep = (points: readonly { readonly step: number; readonly loss: number }[]) => {
    const losses = new Map(points.map(({ step, loss }) => [step, loss]));
    return steps.map((step) => losses.get(step) ?? null);
  };
  return [steps, byStep(train), byStep(heldOut)];
}

function optionsOf(place: HTMLElement): uPlot.Options {
  const style = getComputedStyle(place);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--quiet"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
  };
  return {
    width: place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false } },
    axes: [axis, { ...axis, size: 44 }],
    series: [
      {},
      { stroke: colour("--train"), width: 1.5, points: { show: false }, spanGaps: true },
      { stroke: colour("--held-out"), width: 2.5, points: { show: true, size: 5 }, spanGaps: true },
    ],
  };
}
