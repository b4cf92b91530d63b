/** Which model is played with: one of the runs that have a checkpoint, loaded when it is chosen. */
import { computed, signal } from "@preact/signals";
import type { ModelFacts } from "../../src/studio/api.ts";
import { ask } from "../base/client.ts";
import { Choice, Message } from "../base/controls.tsx";
import { whole } from "../base/format.ts";
import { useLoaded } from "../base/load.ts";
import { route, setArgument } from "../base/route.ts";
import { runs } from "../runs/store.ts";

type Objective = ModelFacts["objective"];

/** What was chosen at last, for each kind of model. */
const last = signal<Readonly<Partial<Record<Objective, string>>>>({});

export function modelsOf(objective: Objective) {
  return (runs.value ?? []).filter((run) => run.checkpoint !== undefined && run.objective === objective);
}

/** Of the address, or what was chosen before, or the first there is. */
export const modelFor = (objective: Objective) =>
  computed<string | undefined>(() => {
    const known = modelsOf(objective).map(({ run }) => run);
    const wanted = [route.value.query.get("model"), last.value[objective], ...known];
    return wanted.find((run): run is string => typeof run === "string" && known.includes(run));
  });

interface Props {
  readonly objective: Objective;
  readonly model: string | undefined;
}

export function ModelChoice({ objective, model }: Props) {
  const options = modelsOf(objective).map(({ run }) => ({ value: run, text: run }));
  if (runs.value === undefined) return <p class="quiet">Reading the runs folder…</p>;
  if (model === undefined) {
    return (
      <p class="quiet empty">
        {objective === "masked" ? "No masked model here yet: train one with " : "No model here yet: "}
        {objective === "masked" && <code>--objective masked</code>}
        {objective === "masked" ? ". " : ""}
        <a href="#/train">Start a training</a>.
      </p>
    );
  }
  return (
    <div class="model">
      <Choice
        label="Model"
        value={model}
        options={options}
        onChange={(run) => {
          last.value = { ...last.value, [objective]: run };
          setArgument("model", run);
        }}
      />
      <Facts key={model} run={model} />
    </div>
  );
}

function Facts({ run }: { readonly run: string }) {
  const { value, problem } = useLoaded(run, (signal) => ask("POST /api/model", { run }, signal));
  if (problem !== undefined) return <Message kind="problem">{problem}</Message>;
  if (value === undefined) return <p class="quiet">Loading the model…</p>;
  const { architecture, step, layers, context, vocabSize } = value;
  return (
    <p class="quiet">
      {`${architecture}, ${layers} layers, step ${whole(step)}, trained on ${whole(context)} tokens at a time, ` +
        `vocabulary of ${whole(vocabSize)}`}
    </p>
  );
}
