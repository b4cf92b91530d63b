/** A run as it learns: how far it is, its curve, what it writes. */
import { Chart } from "./chart.tsx";
import { count, duration, figure } from "./format.ts";
import { activity, download, goOn, pause, type Shown, shown } from "./state.ts";

export function Progress() {
  const run = shown.value;
  if (run === undefined) {
    return (
      <section class="sheet empty" aria-labelledby="progress">
        <h2 id="progress">Progress</h2>
        <p class="quiet">The curve and the samples of a training appear here.</p>
      </section>
    );
  }
  const doing = activity.value;
  const training = doing.kind === "train" && doing.name === run.name;
  const idle = doing.kind === "idle";
  const done = run.step >= run.steps;
  return (
    <section class="sheet" aria-labelledby="progress">
      <h2 id="progress">{run.name}</h2>
      <p class="row">
        <label for="steps">
          Step {count(run.step)} of {count(run.steps)}
        </label>
        <span class="quiet">
          {training ? (doing.stopping ? "stopping…" : leftOf(run)) : done ? "finished" : "paused"}
        </span>
      </p>
      <progress id="steps" max={run.steps} value={run.step} />
      <Figures run={run} />
      <Chart run={run} />
      <div class="row">
        {training ? (
          <button type="button" class="main" disabled={doing.stopping} onClick={pause}>
            Pause
          </button>
        ) : (
          <button
            type="button"
            class="main"
            disabled={!idle}
            onClick={() => void goOn(run.name, done ? 2 * run.steps : undefined)}
          >
            {done ? `Train to step ${count(2 * run.steps)}` : "Continue"}
          </button>
        )}
        <button type="button" disabled={!idle} onClick={() => void download(run.name)}>
          Download
        </button>
      </div>
      {run.engine !== undefined && <p class="quiet">{run.engine}</p>}
      {run.warnings.map((text) => (
        <p key={text} class="warning">
          {text}
        </p>
      ))}
      <Samples run={run} />
    </section>
  );
}

/** By the time that the last steps took, without evaluations between them. */
function leftOf({ step, steps, train }: Shown): string {
  const [first, last] = [train.at(-20) ?? train[0], train.at(-1)];
  if (first === undefined || last === undefined || first === last) return "beginning…";
  const each = (last.seconds - first.seconds) / (last.step - first.step);
  return `about ${duration(each * (steps - step))} left`;
}

function Figures({ run }: { readonly run: Shown }) {
  const heldOut = run.heldOut.at(-1);
  const figures = [
    ["Loss", run.train.at(-1) && figure(run.train.at(-1)?.loss ?? 0), "nats a token"],
    ["Perplexity", heldOut && figure(Math.exp(heldOut.loss)), "of text it has not seen"],
    ["Speed", run.tokensPerSecond && count(run.tokensPerSecond), "tokens a second"],
    ["Parameters", run.parameters && count(run.parameters), ""],
  ] as const;
  const known = figures.filter(([, value]) => value !== undefined);
  return (
    <dl class="figures">
      {known.map(([name, value, unit]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {value} <span class="quiet">{unit}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Samples({ run: { samples } }: { readonly run: Shown }) {
  if (samples.length === 0) return null;
  return (
    <>
      <h3>What it writes</h3>
      <ol class="samples" tabIndex={0} aria-label="What it writes">
        {samples.toReversed().map(({ step, prompt, text }) => (
          <li key={step}>
            <span class="quiet">step {count(step)}</span>
            <p>
              <b>{prompt}</b>
              {text}
            </p>
          </li>
        ))}
      </ol>
    </>
  );
}
