/** Reports of `longhand reproduce` below the runs folder: the list, and one shown in a frame that may run nothing. */
import type { Report } from "../../src/studio/api.ts";
import { ask } from "../base/client.ts";
import { Message } from "../base/controls.tsx";
import { ago, bytes } from "../base/format.ts";
import { useLoaded } from "../base/load.ts";
import { address, route } from "../base/route.ts";

export function ReportsPage() {
  const { value, problem } = useLoaded("reports", (signal) => ask("GET /api/reports", {}, signal));
  if (problem !== undefined) return <Message kind="problem">{problem}</Message>;
  if (value === undefined) return <p class="quiet empty">Looking for reports…</p>;
  const { reports } = value;
  if (reports.length === 0) {
    return (
      <p class="quiet empty">
        No reports here yet: <code>longhand reproduce --data TEXT</code> compares architectures on your text and
        machine.
      </p>
    );
  }
  const name = route.value.query.get("report");
  const shown = reports.find(({ report }) => report === name) ?? reports[0];
  return (
    <div class="split">
      <section aria-labelledby="reports-title">
        <h2 id="reports-title">Reports</h2>
        <ul class="plain-list">
          {reports.map(({ report, title, changed }) => (
            <li key={report}>
              <a href={address("reports", { report })} aria-current={report === shown.report ? "page" : undefined}>
                {title}
              </a>
              <span class="quiet">
                {report} · {ago(changed, Date.now())}
              </span>
            </li>
          ))}
        </ul>
      </section>
      <Shown key={shown.report} report={shown} />
    </div>
  );
}

function Shown({ report }: { readonly report: Report }) {
  return (
    <section class="panel" aria-label={report.title}>
      <iframe class="report" sandbox="" src={report.url} title={report.title} />
      {report.files.length > 0 && (
        <details>
          <summary>Plots and tables ({report.files.length})</summary>
          <ul class="files">
            {report.files.map(({ name, bytes: size, url }) => (
              <li key={name}>
                <a href={url} target="_blank" rel="noopener">
                  {name}
                </a>{" "}
                <span class="quiet">{bytes(size)}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}
