/** What the chosen runs wrote while they learned, beside each other, the newest step first. */
import { useState } from "preact/hooks";
import { Button } from "../base/controls.tsx";
import { whole } from "../base/format.ts";
import { chosen, colors } from "./chosen.ts";
import { histories } from "./store.ts";

const AT_ONCE = 20;

export function Samples() {
  const [shown, setShown] = useState(AT_ONCE);
  const written = chosen.value.map((run) => ({ run, samples: histories.value.get(run)?.history.samples ?? [] }));
  const those = written.filter(({ samples }) => samples.length > 0);
  const steps = [...new Set(those.flatMap(({ samples }) => samples.map(({ step }) => step)))].sort((a, b) => b - a);
  if (steps.length === 0) {
    return (
      <p class="quiet empty">
        {chosen.value.length === 0 ? "Tick a run to see what it wrote. " : "These runs wrote no samples. "}
        Train with <code>--sample-every 100</code> to see the text get better.
      </p>
    );
  }
  return (
    <section aria-label="Samples" class="samples">
      {steps.slice(0, shown).map((step) => (
        <article key={step} aria-label={`Step ${step}`}>
          <h3>step {whole(step)}</h3>
          <div class="beside">
            {those.map(({ run, samples }) => (
              <Sample key={run} run={run} samples={samples.filter((sample) => sample.step === step)} />
            ))}
          </div>
        </article>
      ))}
      {steps.length > shown && (
        <Button onClick={() => setShown(shown + AT_ONCE)}>{`Earlier steps (${steps.length - shown} more)`}</Button>
      )}
    </section>
  );
}

interface SampleProps {
  readonly run: string;
  readonly samples: readonly { readonly prompt: string; readonly text: string }[];
}

function Sample({ run, samples }: SampleProps) {
  return (
    <div class="sample" style={{ "--own": `var(${colors.value.get(run)})` }}>
      <h4>{run}</h4>
      {samples.length === 0 && <p class="quiet">nothing at this step</p>}
      {samples.map(({ prompt, text }) => (
        <p key={prompt} class="prose">
          <b>{prompt}</b>
          {text}
        </p>
      ))}
    </div>
  );
}
