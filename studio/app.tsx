/** The frame of every page: where one can go, light or dark, whether the server is there, and what is said aloud. */
import { useEffect, useRef } from "preact/hooks";
import { announcement } from "./base/announce.ts";
import { Message } from "./base/controls.tsx";
import { address, route } from "./base/route.ts";
import { type Choice, choice } from "./base/scheme.ts";
import { PlayPage } from "./play/page.tsx";
import { ReportsPage } from "./reports/page.tsx";
import { RunsPage } from "./runs/page.tsx";
import { connection, facts, problem } from "./runs/store.ts";
import { TrainPage } from "./train/page.tsx";

const PLAY = ["write", "read", "fill"];
const PAGES = [
  { page: "runs", title: "Runs", Part: RunsPage },
  { page: "train", title: "Train", Part: TrainPage },
  { page: "write", title: "Playground", Part: PlayPage },
  { page: "reports", title: "Reports", Part: ReportsPage },
] as const;

export function App() {
  const { page } = route.value;
  const shown = PLAY.includes(page) ? "write" : page;
  const current = PAGES.find((one) => one.page === shown);
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  useEffect(() => {
    document.title = `${current?.title ?? "Not found"} – longhand studio`;
    if (!first.current) heading.current?.focus();
    first.current = false;
  }, [current]);
  const Part = current?.Part;
  return (
    <>
      <button type="button" class="skip" onClick={() => heading.current?.focus()}>
        Skip to the content
      </button>
      <header class="top">
        <a class="mark" href="#/">
          longhand <b>studio</b>
        </a>
        <nav aria-label="Pages">
          {PAGES.map((one) => (
            <a
              class="place"
              key={one.page}
              href={address(one.page)}
              aria-current={one.page === shown ? "page" : undefined}
            >
              {one.title}
            </a>
          ))}
        </nav>
        <SchemeSwitch />
      </header>
      <main>
        <h1 ref={heading} tabIndex={-1} class="hidden">
          {current?.title ?? "Not found"}
        </h1>
        {connection.value === "lost" && (
          <Message kind="problem">The studio does not answer. What is shown may be old; it is tried again.</Message>
        )}
        {problem.value !== undefined && <Message kind="problem">{problem.value}</Message>}
        {Part === undefined ? <p class="quiet empty">There is no such page.</p> : <Part />}
      </main>
      <footer class="bottom quiet">{facts.value && `longhand ${facts.value.version} · ${facts.value.folder}`}</footer>
      <div class="hidden" role="status" aria-live="polite">
        {announcement.value}
      </div>
    </>
  );
}

const NEXT: Readonly<Record<Choice, Choice>> = { system: "light", light: "dark", dark: "system" };
const SCHEMES: Readonly<Record<Choice, string>> = { system: "◐ Auto", light: "○ Light", dark: "● Dark" };

function SchemeSwitch() {
  return (
    <button
      type="button"
      class="scheme"
      title="Light, dark, or as the system"
      onClick={() => {
        choice.value = NEXT[choice.value];
      }}
    >
      <span class="hidden">Colours: </span>
      {SCHEMES[choice.value]}
    </button>
  );
}
