/** Writing with a model: each token shows what else could have come, and one goes on from whatever one picks. */
import { computed, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { TextToken } from "../../src/studio/api.ts";
import { Button, LongText, Message, NumberField, Segments } from "../base/controls.tsx";
import { figures, percent, whole } from "../base/format.ts";
import { route, setArgument } from "../base/route.ts";
import { Alternatives } from "./alternatives.tsx";
import { AttentionView, weightsOf } from "./attention.tsx";
import { ModelChoice, modelFor } from "./model.tsx";
import { inLine, type ShownToken, Tokens } from "./tokens.tsx";
import { attention, begin, goOn, look, options, problem, prompt, selected, speed, text, working } from "./writing.ts";

const model = modelFor("causal");
const layer = signal(0);
const side = computed(() => (route.value.query.get("side") === "attention" ? "attention" : "alternatives"));

/** A token of so many bits, or more, is shaded fully. */
const FULL_BITS = 12;

export function Write() {
  const run = model.value;
  const known = text.value?.run === run ? text.value : undefined;
  const busy = working.value !== undefined;
  if (run === undefined) return <ModelChoice objective="causal" model={run} />;
  return (
    <div class="play">
      <div class="writing">
        <ModelChoice objective="causal" model={run} />
        <form
          class="prompt"
          onSubmit={(event) => {
            event.preventDefault();
            begin(run);
          }}
        >
          <LongText
            label="Beginning"
            rows={3}
            placeholder="What the model goes on from; may be empty."
            value={prompt.value}
            onInput={(value) => {
              prompt.value = value;
            }}
          />
          <Options />
          <div class="row">
            <Button kind="main" type="submit" disabled={busy}>
              Write
            </Button>
            <Button disabled={busy || known === undefined} onClick={() => goOn()}>
              Go on
            </Button>
            <Button disabled={!busy} onClick={() => working.value?.abort()}>
              Stop
            </Button>
            {speed.value !== undefined && <span class="quiet">{`${figures(speed.value)} tokens a second`}</span>}
          </div>
        </form>
        {problem.value !== undefined && <Message kind="problem">{problem.value}</Message>}
        {known !== undefined && (
          <>
            <Tokens
              label="Text, token by token"
              tokens={shownTokens()}
              selected={selected.value}
              kind={side.value === "attention" && attention.value !== undefined ? "attention" : "surprise"}
              onSelect={(index) => {
                selected.value = index;
              }}
            />
            <p class="quiet">
              {`${whole(known.tokens.length)} tokens, ${whole(known.given)} of them given. `}
              The stronger its shade, the less the model expected a token.
            </p>
          </>
        )}
      </div>
      {known !== undefined && <Side />}
    </div>
  );
}

function Options() {
  const value = options.value;
  const field = (name: keyof typeof value, label: string, range: { min: number; max?: number }) => (
    <NumberField
      label={label}
      value={value[name]}
      {...range}
      placeholder={name === "seed" ? "any" : ""}
      onInput={(written) => {
        options.value = { ...options.value, [name]: written };
      }}
    />
  );
  return (
    <div class="options">
      {field("count", "Tokens", { min: 1, max: 10000 })}
      {field("temperature", "Temperature", { min: 0 })}
      {field("topP", "Top p", { min: 0, max: 1 })}
      {field("topK", "Top k", { min: 0 })}
      {field("seed", "Seed", { min: 0 })}
    </div>
  );
}

/** Shaded by surprise, or by what the selected token attends to. */
function shownTokens(): ShownToken[] {
  const tokens = text.value?.tokens ?? [];
  const looked = side.value === "attention" ? attention.value : undefined;
  if (looked === undefined) return tokens.map((token) => ({ text: token.text, ...surprise(token) }));
  const weights = weightsOf(looked, layer.value);
  return tokens.map(({ text: written }, at) => {
    return { text: written, shade: weights[at - looked.start] ?? 0 };
  });
}

/** The first token of a text comes after nothing. */
function surprise({ probability }: TextToken) {
  if (probability === null) return { shade: 0, title: "the first token" };
  const bits = -Math.log2(Math.max(probability, 1e-12));
  return { shade: Math.min(1, bits / FULL_BITS), title: `${percent(probability)}, ${figures(bits)} bits` };
}

/** What there is to say of the selected token; without one, of what comes next. */
function Side() {
  const tokens = text.value?.tokens ?? [];
  const at = selected.value;
  const token = at === undefined ? undefined : tokens[at];
  const attends = side.value === "attention";
  useEffect(() => {
    if (attends && at !== undefined && attention.peek()?.position !== at) look(at);
  }, [attends, at]);
  return (
    <aside class="side" aria-label="The selected token">
      <Segments
        label="Show"
        value={side.value}
        options={[
          { value: "alternatives", text: "Alternatives" },
          { value: "attention", text: "Attention" },
        ]}
        onChange={(value) => setArgument("side", value, "alternatives")}
      />
      <div role="status">{token === undefined ? <h2>What comes next</h2> : <About token={token} at={at ?? 0} />}</div>
      {attends ? <Attended at={at} /> : <Choices token={token} at={at} />}
    </aside>
  );
}

function About({ token, at }: { readonly token: TextToken; readonly at: number }) {
  return (
    <>
      <h2>
        <span class="token-name">{inLine(token.text)}</span> <span class="quiet">{`token ${whole(at)}`}</span>
      </h2>
      <p class="quiet">{standing(token)}</p>
    </>
  );
}

function standing({ probability, rank, entropy }: TextToken): string {
  if (probability === null || rank === null || entropy === null) return "the first token, which comes after nothing";
  return `${percent(probability)}, rank ${whole(rank)}; entropy ${figures(entropy)} bits`;
}

function Choices({ token, at }: { readonly token: TextToken | undefined; readonly at: number | undefined }) {
  const busy = working.value !== undefined;
  const alternatives = token?.alternatives ?? text.value?.next ?? [];
  const keep = at ?? text.value?.tokens.length ?? 0;
  if (busy && alternatives.length === 0) return <p class="quiet">Writing…</p>;
  return (
    <>
      <p class="quiet">
        {token === undefined ? "Pick a token to go on with." : "Pick another one to go on from here."}
      </p>
      <Alternatives
        label={token === undefined ? "Likely next tokens" : "Alternatives"}
        alternatives={alternatives}
        taken={token?.id}
        disabled={busy}
        onTake={({ id }) => goOn({ keep, token: id })}
      />
    </>
  );
}

function Attended({ at }: { readonly at: number | undefined }) {
  const looked = attention.value;
  if (at === undefined) return <p class="quiet">Select a token of the text to see what it attends to.</p>;
  if (looked?.position !== at) return <p class="quiet">Looking…</p>;
  return (
    <AttentionView
      attention={looked}
      layer={layer.value}
      onLayer={(index) => {
        layer.value = index;
      }}
    />
  );
}
