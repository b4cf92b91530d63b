/** The runs of the folder: which are there, how far they are and how well they do; a tick shows a run's curves. */
import { signal } from "@preact/signals";
import type { RunSummary } from "../../src/studio/api.ts";
import { TextField } from "../base/controls.tsx";
import { ago, figures, short, whole } from "../base/format.ts";
import { choose, chosen, colors, toggle } from "./chosen.ts";
import { runs } from "./store.ts";

const filter = signal("");
const FEW = 6;
const FACTS = ["model", "step", "perplexity", "tokens/s"] as const;

export function RunList() {
  const all = runs.value;
  if (all === undefined) return <p class="quiet">Reading the runs folder…</p>;
  const words = filter.value.toLowerCase().split(/\s+/);
  const shown = all.filter((run) => {
    const text = `${run.run} ${run.architecture} ${run.data} ${run.status}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const running = all.filter(({ status }) => status === "running").length;
  return (
    <section class="runs" aria-labelledby="runs-title">
      <header class="row between">
        <h2 id="runs-title">Runs</h2>
        <span class="quiet">{`${all.length} in all${running > 0 ? `, ${running} running` : ""}`}</span>
      </header>
      {all.length > FEW && (
        <TextField
          label="Filter"
          placeholder="name, model, data, running…"
          value={filter.value}
          onInput={(value) => {
            filter.value = value;
          }}
        />
      )}
      {all.length === 0 && (
        <p class="quiet">
          No runs here yet. <a href="#/train">Start a training</a>.
        </p>
      )}
      {shown.length > 0 && (
        <div class="facts heads" aria-hidden="true">
          {FACTS.map((name) => (
            <span key={name}>{name}</span>
          ))}
        </div>
      )}
      <ul class="run-list">
        {shown.map((summary) => (
          <Row key={summary.run} summary={summary} />
        ))}
      </ul>
      {shown.length === 0 && all.length > 0 && <p class="quiet">No run matches.</p>}
    </section>
  );
}

function Row({ summary }: { readonly summary: RunSummary }) {
  const { run, status, step, steps, evaluation } = summary;
  const color = colors.value.get(run);
  const on = chosen.value.includes(run);
  return (
    <li class={on ? "run on" : "run"} style={color && { "--own": `var(${color})` }}>
      <input type="checkbox" checked={on} aria-label={`Show ${run}`} onChange={() => toggle(run)} />
      <button type="button" class="run-name" title={`Show only ${run}`} onClick={() => choose([run])}>
        {run}
      </button>
      <Status summary={summary} />
      <dl class="facts">
        {[modelOf(summary), stepOf(step, steps), figures(evaluation?.perplexity), short(summary.tokensPerSecond)].map(
          (value, index) => (
            <div key={FACTS[index]}>
              <dt class="hidden">{FACTS[index]}</dt>
              <dd>{value}</dd>
            </div>
          ),
        )}
      </dl>
      {status === "running" && steps !== undefined && (
        <span class="progress" style={{ "--share": step / steps }} aria-hidden="true" />
      )}
    </li>
  );
}

const stepOf = (step: number, steps: number | undefined): string =>
  steps === undefined || steps === step ? whole(step) : `${whole(step)} / ${short(steps)}`;

export function modelOf({ architecture, layers, width }: RunSummary): string {
  return architecture === undefined ? "–" : `${architecture} ${layers} × ${width}`;
}

export function Status({ summary: { status, changed, problem } }: { readonly summary: RunSummary }) {
  const variant = { running: "success", finished: "neutral", stopped: "warning", damaged: "danger" } as const;
  return (
    <span class="status" title={problem ?? new Date(changed).toLocaleString()}>
      {status !== "running" && <span class="quiet">{ago(changed, Date.now())}</span>}
      <wa-badge variant={variant[status]} appearance="filled" pill>
        {status}
      </wa-badge>
    </span>
  );
}
