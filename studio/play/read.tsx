/** A long text as a model reads it: shaded by surprise, with perplexity against position. */
import { signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { Button, Message } from "../base/controls.tsx";
import { figures, place, short, whole } from "../base/format.ts";
import { Scroll } from "../base/scroll.tsx";
import { Chart } from "../plot/chart.tsx";
import { newGroup } from "../plot/group.ts";
import { ModelChoice, modelFor } from "./model.tsx";
import { type Ending, perplexityAlong, problem, type Reading, read, reading, working } from "./reading.ts";
import { OpenFile, Source, sourceText } from "./source.tsx";
import { Tokens } from "./tokens.tsx";

const model = modelFor("causal");
const group = newGroup();
/** Tokens that are shown at a time. */
const PAGE = 2000;
const FULL_BITS = 12;
const page = signal(0);

export function Read() {
  const run = model.value;
  const busy = working.value !== undefined;
  if (run === undefined) return <ModelChoice objective="causal" model={run} />;
  return (
    <div class="writing wide">
      <ModelChoice objective="causal" model={run} />
      <form
        class="prompt"
        onSubmit={(event) => {
          event.preventDefault();
          page.value = 0;
          read(run, sourceText());
        }}
      >
        <Source />
        <div class="row">
          <Button kind="main" type="submit" disabled={busy || sourceText() === ""}>
            Read
          </Button>
          <OpenFile />
          <Button disabled={!busy} onClick={() => working.value?.abort()}>
            Stop
          </Button>
          <span class="quiet" role="status">
            {busy ? `${whole(reading.value?.bits.length)} tokens read…` : ""}
          </span>
        </div>
      </form>
      {problem.value !== undefined && <Message kind="problem">{problem.value}</Message>}
      {reading.value !== undefined && reading.value.bits.length > 0 && <Shown reading={reading.value} />}
    </div>
  );
}

function Shown({ reading: { texts, bits, end } }: { readonly reading: Reading }) {
  const length = bits.length;
  const points = useMemo(() => perplexityAlong(bits.slice(0, length)), [bits, length]);
  const pages = Math.ceil(length / PAGE);
  const from = Math.min(page.value, pages - 1) * PAGE;
  const shown = texts.slice(from, from + PAGE).map((text, offset) => {
    const surprise = bits[from + offset];
    return { text, shade: Math.min(1, surprise / FULL_BITS), title: `${figures(surprise)} bits` };
  });
  const curves = useMemo(() => [{ name: "perplexity", color: "--run-1", points }], [points]);
  const extent = useMemo(() => ({ from: 0, to: Math.max(1, length), log: false }), [length]);
  useEffect(() => {
    group.view.value = undefined;
  }, [bits]);
  return (
    <>
      {end !== undefined && <Totals end={end} />}
      <Chart
        group={group}
        title="Perplexity against position"
        unit="of stretches of the text"
        curves={curves}
        extent={extent}
        logY={true}
        axis="token"
        formatX={place}
        formatY={figures}
      />
      <p id="plot-keys" class="hidden">
        Arrow keys read values along the curve, plus and minus zoom, page up and page down pan, zero shows all.
      </p>
      {pages > 1 && (
        <nav class="row" aria-label="Parts of the text">
          <Button disabled={from === 0} onClick={() => turn(-1)}>
            Earlier
          </Button>
          <span class="quiet">{`tokens ${whole(from)} to ${whole(from + shown.length - 1)} of ${whole(length)}`}</span>
          <Button disabled={from + PAGE >= length} onClick={() => turn(1)}>
            Later
          </Button>
        </nav>
      )}
      <Tokens
        label="Text, shaded by surprise"
        tokens={shown}
        from={from}
        selected={chosen.value}
        kind="surprise"
        onSelect={(index) => {
          chosen.value = index;
          group.pointer.value = index;
        }}
      />
      {chosen.value !== undefined && bits[chosen.value] !== undefined && (
        <p class="quiet" role="status">{`token ${whole(chosen.value)}: ${figures(bits[chosen.value])} bits`}</p>
      )}
    </>
  );
}

const chosen = signal<number | undefined>(undefined);

function turn(by: number): void {
  page.value += by;
}

function Totals({ end }: { readonly end: Ending }) {
  const { tokens, bytes, perplexity, bitsPerByte, byPosition, window } = end;
  return (
    <section aria-label="Result" class="totals">
      <dl class="numbers">
        {[
          ["perplexity", figures(perplexity)],
          ["bits a byte", figures(bitsPerByte)],
          ["tokens", whole(tokens)],
          ["bytes", whole(bytes)],
          ["read", window === null ? "whole" : `in windows of ${whole(window)} tokens`],
        ].map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Scroll label="Perplexity by position">
        <table class="grid">
          <thead>
            <tr>
              <th scope="col">tokens</th>
              {byPosition.map(({ from, to }) => (
                <th key={from} scope="col">{`${short(from)}–${short(to)}`}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            <tr>
              <th scope="row">perplexity</th>
              {byPosition.map(({ from, perplexity: one }) => (
                <td key={from}>{figures(one)}</td>
              ))}
            </tr>
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}
