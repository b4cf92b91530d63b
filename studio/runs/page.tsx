/** The runs: the list, and the chosen ones seen as curves, by configuration, by what they wrote, or each by itself. */
import { effect } from "@preact/signals";
import { address, route } from "../base/route.ts";
import { chosen, colors, hidden, hide, toggle, VIEWS, type View, view } from "./chosen.ts";
import { Configuration } from "./configuration.tsx";
import { Curves } from "./curves.tsx";
import { Details } from "./details.tsx";
import { RunList } from "./list.tsx";
import { Samples } from "./samples.tsx";
import { follow, histories, runs } from "./store.ts";

effect(() => {
  const there = new Set((runs.value ?? []).filter(({ status }) => status !== "damaged").map(({ run }) => run));
  for (const run of chosen.value) if (there.has(run) && !histories.peek().has(run)) follow(run);
});

const PARTS: Readonly<Record<View, () => preact.JSX.Element>> = {
  curves: Curves,
  configuration: Configuration,
  samples: Samples,
  details: Details,
};

export function RunsPage() {
  const Part = PARTS[view.value];
  return (
    <div class="split">
      <RunList />
      <div class="panel">
        <nav class="tabs" aria-label="Views of the chosen runs">
          {VIEWS.map((name) => (
            <a class="place" key={name} href={addressOf(name)} aria-current={name === view.value ? "page" : undefined}>
              {name[0].toUpperCase() + name.slice(1)}
            </a>
          ))}
        </nav>
        <Legend />
        <Part />
      </div>
    </div>
  );
}

function addressOf(name: View): string {
  const query = new URLSearchParams(route.value.query);
  if (name === VIEWS[0]) query.delete("view");
  else query.set("view", name);
  return address("runs", query);
}

/** The chosen runs with their colours: a press hides the curves of one, or shows them again. */
function Legend() {
  const names = chosen.value;
  if (names.length === 0) return null;
  return (
    <ul class="legend" aria-label="Chosen runs">
      {names.map((name) => (
        <li key={name} style={{ "--own": `var(${colors.value.get(name)})` }}>
          <button
            type="button"
            aria-pressed={!hidden.value.has(name)}
            title={hidden.value.has(name) ? "Show its curves" : "Hide its curves"}
            onClick={() => hide(name, !hidden.value.has(name))}
          >
            <span class="dot" /> {name}
          </button>
          <button type="button" class="remove" aria-label={`Take ${name} away`} onClick={() => toggle(name)}>
            ×
          </button>
        </li>
      ))}
    </ul>
  );
}
