/** How the chosen runs were configured: where they differ; of a single run, everything. */
import type { Differences } from "../../src/studio/api.ts";
import { ask } from "../base/client.ts";
import { Message } from "../base/controls.tsx";
import { useLoaded } from "../base/load.ts";
import { Scroll } from "../base/scroll.tsx";
import { chosen, colors } from "./chosen.ts";

export function Configuration() {
  const names = chosen.value;
  const { value, problem } = useLoaded(JSON.stringify(names), (signal) => read(names, signal));
  if (names.length === 0) return <p class="quiet empty">Tick runs to compare their configurations.</p>;
  if (problem !== undefined) return <Message kind="problem">{problem}</Message>;
  if (value === undefined) return <p class="quiet empty">Reading…</p>;
  const { runs, fields, same } = value;
  const more = runs.length > 1;
  return (
    <section aria-label="Configuration">
      <p class="quiet">
        {more ? `${fields.length} fields differ, ${same} are the same.` : "Tick a second run to see where they differ."}
      </p>
      <Scroll label="Table of the configuration">
        <table class="grid">
          <thead>
            <tr>
              <th scope="col">field</th>
              {runs.map((run) => (
                <th key={run} scope="col">
                  <span class="dot" style={{ background: `var(${colors.value.get(run)})` }} /> {run}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {fields.map(({ name, values }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                {values.map((one, index) => (
                  <td key={runs[index]}>{written(one)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

async function read(names: readonly string[], signal: AbortSignal): Promise<Differences> {
  if (names.length !== 1) return ask("GET /api/differences", { run: names }, signal);
  const { config } = await ask("GET /api/run", { run: names[0] }, signal);
  const fields = flat(config).map(([name, value]) => ({ name, values: [value] }));
  return { runs: names, fields, same: 0 };
}

/** Dotted names of all values that are no objects. */
function flat(value: object, before = ""): [string, unknown][] {
  return Object.entries(value).flatMap(([name, one]) => {
    const path = `${before}${name}`;
    const deeper = typeof one === "object" && one !== null && !Array.isArray(one);
    return deeper ? flat(one, `${path}.`) : [[path, one] as [string, unknown]];
  });
}

function written(value: unknown): string {
  if (value === null || value === undefined) return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}
