/** Writing with a model: the small one that comes with the page, or one that was trained here. */
import { useSignal } from "@preact/signals";
import { loadModel, type WebModel } from "longhand/web";
import { useEffect, useRef } from "preact/hooks";
import { activity, attempt, pause, runs, spoken } from "./state.ts";

/** The model that comes with the page, loaded when it is first used. */
let included: Promise<WebModel> | undefined;

export function Play() {
  const written = useSignal("");
  const prompt = useSignal("");
  const has = useSignal(false);
  const stop = useRef<AbortController>(undefined);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    void fetch("./model/config.json", { method: "HEAD" })
      .then(({ ok }) => {
        has.value = ok;
      })
      .catch(() => {});
  }, []);
  const trained = runs.value.runs.filter(({ step }) => step > 0);
  const none = !has.value && trained.length === 0;
  const doing = activity.value;
  const writing = doing.kind === "other" && doing.what === WRITING.what;

  const write = async (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(form.current as HTMLFormElement);
    const text = String(data.get("prompt"));
    const name = String(data.get("model"));
    const [tokens, temperature] = [Number(data.get("tokens")), Number(data.get("temperature"))];
    const settings = { prompt: text, tokens, temperature, topP: 0.95, seed: Math.floor(performance.now()) };
    prompt.value = text;
    written.value = "";
    const add = (piece: string) => {
      written.value += piece;
    };
    await attempt(WRITING, async (trainer) => {
      if (name !== "") return trainer.write({ name, ...settings }, add);
      stop.current = new AbortController();
      try {
        included ??= loadModel({ url: "./model/" });
        const model = await included;
        for await (const piece of model.generate({ ...settings, signal: stop.current.signal })) {
          if (piece.type === "text") add(piece.text);
        }
      } catch (error) {
        included = undefined;
        throw error;
      }
      return written.value;
    });
    spoken.value = "The text is written.";
  };

  return (
    <section class="sheet" aria-labelledby="play">
      <h2 id="play">Play with a model</h2>
      <form ref={form} onSubmit={write}>
        <label>
          Model
          <select name="model" disabled={none}>
            {has.value && <option value="">Moby-Dick, comes with this page</option>}
            {trained.map(({ name, step }) => (
              <option key={name} value={name}>
                {name}, step {step}
              </option>
            ))}
          </select>
        </label>
        <label>
          Beginning
          <textarea name="prompt" rows={3} defaultValue="The whale" />
        </label>
        <div class="fields">
          <label>
            Tokens
            <input type="number" name="tokens" min={1} max={2000} required defaultValue="120" />
          </label>
          <label>
            <span>
              Temperature <span class="quiet">0 to 2</span>
            </span>
            <input type="number" name="temperature" min={0} max={2} step={0.05} required defaultValue="0.8" />
          </label>
        </div>
        <div class="row">
          <button type="submit" class="main" disabled={none || doing.kind !== "idle"}>
            Write
          </button>
          {writing && (
            <button
              type="button"
              onClick={() => {
                stop.current?.abort();
                void pause();
              }}
            >
              Stop
            </button>
          )}
          {none && <span class="quiet">Train a model first, or open one.</span>}
        </div>
      </form>
      {written.value !== "" && (
        <blockquote class="written">
          <b>{prompt.value}</b>
          {written.value}
        </blockquote>
      )}
    </section>
  );
}

const WRITING = { kind: "other", what: "Writing" } as const;
