/** The page from top to bottom. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type Ability, abilities, missing } from "./abilities.ts";
import { LearnForm } from "./learn.tsx";
import { Play } from "./play.tsx";
import { Progress } from "./progress.tsx";
import { Runs } from "./runs.tsx";
import { problem, spoken } from "./state.ts";

export function App() {
  const lack = missing();
  const given = useSignal<readonly Ability[]>([]);
  useEffect(() => {
    void abilities().then((found) => {
      given.value = found;
    });
  }, []);
  return (
    <>
      <header class="top">
        <a class="mark" href="./">
          longhand
        </a>
        <nav aria-label="On this page">
          <a href="#learn">Learn</a>
          <a href="#play">Play</a>
          {import.meta.env.VITE_DOCS === "yes" && <a href="./docs/index.html">Documentation</a>}
        </nav>
      </header>
      <main>
        <section class="lead">
          <h1>A language model that learns in this tab</h1>
          <p>
            Paste a text. A small FLASH model learns it here and goes on writing in its manner. Nothing leaves your
            computer, and what you train goes on in Node with <code>longhand</code>.
          </p>
        </section>
        {lack !== undefined && (
          <p class="problem" role="alert">
            {lack}
          </p>
        )}
        {problem.value !== undefined && (
          <p class="problem" role="alert">
            {problem.value}
            <button
              type="button"
              class="plain"
              aria-label="Close this message"
              onClick={() => {
                problem.value = undefined;
              }}
            >
              ✕
            </button>
          </p>
        )}
        <div class="columns">
          <div class="column">
            <LearnForm />
            <Runs />
          </div>
          <div class="column">
            <Progress />
            <Play />
          </div>
        </div>
        <section class="sheet" aria-labelledby="browser">
          <h2 id="browser">What this browser gives</h2>
          <ul class="abilities">
            {given.value.map(({ there, text }) => (
              <li key={text} class={there ? "there" : "lacking"}>
                {text}
              </li>
            ))}
          </ul>
        </section>
      </main>
      <div class="hidden" role="status" aria-live="polite">
        {spoken.value}
      </div>
    </>
  );
}
