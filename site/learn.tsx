/** The form: a text, a few settings, and the button that begins. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { count } from "./format.ts";
import { activity, learn, pause, problem, runs } from "./state.ts";

const SIZES = [
  { value: "nano", label: "nano: learns in minutes" },
  { value: "tiny", label: "tiny: better, several times slower" },
];

interface Field {
  readonly name: "steps" | "context" | "batch" | "vocab" | "seed";
  readonly label: string;
  readonly hint: string;
  readonly value: number;
  readonly least: number;
}

const FIELDS: readonly Field[] = [
  { name: "context", label: "Context", hint: "tokens an example", value: 128, least: 16 },
  { name: "batch", label: "Batch", hint: "examples a step", value: 4, least: 1 },
  { name: "vocab", label: "Vocabulary", hint: "tokens", value: 1024, least: 260 },
  { name: "seed", label: "Seed", hint: "of its chances", value: 1, least: 0 },
];
const STEPS: Field = { name: "steps", label: "Steps", hint: "more learn more", value: 300, least: 1 };

/** Characters that the field holds: browsers take minutes to paste or change very long texts. */
const MOST_SHOWN = 50_000;

export function LearnForm() {
  const text = useSignal("");
  const name = useSignal("my text");
  const form = useRef<HTMLFormElement>(null);
  const busy = activity.value.kind !== "idle";
  const trained = runs.value.runs.filter(({ step }) => step > 0);

  const long = text.value.length > MOST_SHOWN;
  const paste = (event: ClipboardEvent & { readonly currentTarget: HTMLTextAreaElement }) => {
    const pasted = event.clipboardData?.getData("text/plain").replaceAll("\r\n", "\n") ?? "";
    const { selectionStart: from, selectionEnd: to } = event.currentTarget;
    if (long || text.value.length + pasted.length <= MOST_SHOWN) return;
    event.preventDefault();
    text.value = text.value.slice(0, from) + pasted + text.value.slice(to);
  };
  const take = async (files: FileList | null) => {
    const file = files?.[0];
    if (file === undefined) return;
    name.value = file.name;
    text.value = await file.text();
  };
  const sample = async () => {
    const response = await fetch("./sample.txt").catch(() => undefined);
    if (!response?.ok) {
      problem.value = "The sample text does not come with this page; paste a text of your own.";
      return;
    }
    name.value = "Moby-Dick.txt";
    text.value = await response.text();
  };
  const begin = (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(form.current as HTMLFormElement);
    const numbers = [...FIELDS, STEPS].map((field) => [field.name, Number(data.get(field.name))] as const);
    const { steps, vocab, ...rest } = Object.fromEntries(numbers) as Record<Field["name"], number>;
    const from = String(data.get("from") ?? "");
    const every = Math.max(5, Math.min(25, Math.round(steps / 8)));
    const prompt = String(data.get("prompt") ?? "");
    const own = from === "" ? { vocab, preset: String(data.get("preset")) } : {};
    const settings = { ...own, ...rest, steps, evalEvery: every, saveEvery: every, evalTokens: 2048 };
    void learn({
      name: name.value.replace(/\.\w+$/, ""),
      text: { name: name.value, texts: [text.value] },
      settings: { ...settings, ...(prompt !== "" && { sample: prompt, sampleTokens: 40 }) },
      ...(from !== "" && { from }),
    });
  };

  return (
    <section class="sheet" aria-labelledby="learn">
      <h2 id="learn">Learn a text</h2>
      <form ref={form} onSubmit={begin}>
        <label for="text">Text</label>
        <textarea
          id="text"
          rows={9}
          value={text.value.slice(0, MOST_SHOWN)}
          readOnly={long}
          aria-describedby="amount"
          placeholder="Paste some pages: the more text, the better the model. A few hundred kilobytes are a good start."
          onPaste={paste}
          onInput={(event) => {
            text.value = event.currentTarget.value;
          }}
        />
        <p class="quiet" id="amount">
          {text.value === ""
            ? "No text yet."
            : `${count(text.value.length)} characters, ${count(text.value.length / 3.2)} tokens or so.`}
          {long && " Only its beginning is shown."}
        </p>
        <div class="row">
          <label class="button">
            Open a file
            <input
              type="file"
              accept=".txt,.md,text/*"
              class="over"
              onChange={(event) => {
                void take(event.currentTarget.files);
                event.currentTarget.value = "";
              }}
            />
          </label>
          <button type="button" onClick={sample}>
            Take Moby-Dick
          </button>
          {long && (
            <button
              type="button"
              onClick={() => {
                text.value = "";
              }}
            >
              Clear
            </button>
          )}
        </div>
        <div class="fields">
          <label>
            Size
            <select name="preset">
              {SIZES.map(({ value, label }) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          </label>
          <NumberField {...STEPS} />
        </div>
        <details>
          <summary>More settings</summary>
          <div class="fields">
            {FIELDS.map((field) => (
              <NumberField key={field.name} {...field} />
            ))}
            <label>
              Sample that is continued
              <input name="prompt" value="The" autocomplete="off" />
            </label>
            <label>
              Begin from
              <select name="from">
                <option value="">a new model</option>
                {trained.map((run) => (
                  <option key={run.name} value={run.name}>
                    {run.name}
                  </option>
                ))}
              </select>
            </label>
          </div>
        </details>
        <div class="row">
          <button type="submit" class="main" disabled={busy || text.value === ""}>
            Start learning
          </button>
          {activity.value.kind === "prepare" && (
            <button type="button" onClick={pause}>
              Stop
            </button>
          )}
        </div>
        {activity.value.kind === "prepare" && (
          <p class="quiet">
            <label for="preparing">{activity.value.stage}…</label>
            <progress id="preparing" max={1} value={activity.value.done} />
          </p>
        )}
      </form>
    </section>
  );
}

function NumberField({ name, label, hint, value, least }: Field) {
  return (
    <label>
      <span>
        {label} <span class="quiet">{hint}</span>
      </span>
      <input
        type="number"
        name={name}
        min={least}
        max={name === "vocab" ? 30_000 : undefined}
        step={1}
        required
        defaultValue={String(value)}
      />
    </label>
  );
}
