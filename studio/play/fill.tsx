/** Blanks of a text filled by a masked model: each shows what else could stand in it, and takes what is picked. */
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import type { Alternative, FillAnswer } from "../../src/studio/api.ts";
import { announce } from "../base/announce.ts";
import { ask, sentenceOf } from "../base/client.ts";
import { Button, LongText, Message } from "../base/controls.tsx";
import { Alternatives } from "./alternatives.tsx";
import { ModelChoice, modelFor } from "./model.tsx";

const BLANK = "[MASK]";
const model = modelFor("masked");
const written = signal(`It was the ${BLANK} of times, it was the ${BLANK} of times.`);

interface Filled {
  /** What stands between the blanks. */
  readonly parts: readonly string[];
  readonly blanks: FillAnswer["blanks"];
  /** What stands in each. */
  readonly taken: readonly Alternative[];
}

const filled = signal<Filled | undefined>(undefined);

export function Fill() {
  const run = model.value;
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  if (run === undefined) return <ModelChoice objective="masked" model={run} />;

  async function fill(named: string) {
    setBusy(true);
    setProblem(undefined);
    try {
      const text = written.value;
      const { blanks } = await ask("POST /api/fill", { run: named, text, topK: 10 });
      filled.value = { parts: text.split(BLANK), blanks, taken: blanks.map(([likeliest]) => likeliest) };
      announce(`${blanks.length} blanks filled.`);
    } catch (error) {
      filled.value = undefined;
      setProblem(sentenceOf(error));
    }
    setBusy(false);
  }

  return (
    <div class="play">
      <div class="writing">
        <ModelChoice objective="masked" model={run} />
        <form
          class="prompt"
          onSubmit={(event) => {
            event.preventDefault();
            fill(run);
          }}
        >
          <LongText
            label="Text with blanks"
            hint={`Each ${BLANK} is filled.`}
            rows={5}
            value={written.value}
            onInput={(value) => {
              written.value = value;
            }}
          />
          <div class="row">
            <Button kind="main" type="submit" busy={busy} disabled={!written.value.includes(BLANK)}>
              Fill
            </Button>
            <Button
              onClick={() => {
                written.value = `${written.value}${BLANK}`;
              }}
            >
              Add a blank
            </Button>
          </div>
        </form>
        {problem !== undefined && <Message kind="problem">{problem}</Message>}
        {filled.value !== undefined && <Text filled={filled.value} />}
      </div>
      {filled.value !== undefined && <Blanks filled={filled.value} />}
    </div>
  );
}

function Text({ filled: { parts, taken } }: { readonly filled: Filled }) {
  const [first, ...rest] = parts;
  return (
    <p class="prose filled">
      {first}
      {rest.map((part, index) => (
        <span key={`${index}/${rest.length}`}>
          <mark>{taken[index]?.text}</mark>
          {part}
        </span>
      ))}
    </p>
  );
}

function Blanks({ filled: shown }: { readonly filled: Filled }) {
  const { blanks, taken } = shown;
  return (
    <aside class="side" aria-label="The blanks">
      {blanks.map((alternatives, index) => (
        <section key={`${index}/${blanks.length}`} aria-label={`Blank ${index + 1}`}>
          <h2>{`Blank ${index + 1}`}</h2>
          <Alternatives
            label={`What could stand in blank ${index + 1}`}
            alternatives={alternatives}
            taken={taken[index]?.id}
            onTake={(alternative) => {
              filled.value = { ...shown, taken: taken.with(index, alternative) };
            }}
          />
        </section>
      ))}
    </aside>
  );
}
