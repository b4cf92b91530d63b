/** The runs that lie in this browser: looked at, gone on with, taken away; and those that come from elsewhere. */
import { bytes, count } from "./format.ts";
import { activity, download, goOn, look, remove, runs, shown, upload } from "./state.ts";

export function Runs() {
  const { lasting, runs: list } = runs.value;
  const idle = activity.value.kind === "idle";
  return (
    <section class="sheet" aria-labelledby="runs">
      <h2 id="runs">Models in this browser</h2>
      {!lasting && <p class="warning">They are gone when this tab is closed. Download what you want to keep.</p>}
      {list.length === 0 && <p class="quiet">None yet.</p>}
      <ul class="runs">
        {list.map(({ name, step, steps, text, bytes: size, busy }) => (
          <li key={name}>
            <div>
              <b>{name}</b>
              <span class="quiet">
                {" "}
                {busy ? "training" : step >= steps ? "finished" : "paused"} at step {count(step)} of {count(steps)} ·{" "}
                {text} · {bytes(size)}
              </span>
            </div>
            <div class="row">
              <button
                type="button"
                aria-pressed={shown.value?.name === name}
                aria-label={`Show ${name}`}
                disabled={!idle}
                onClick={() => void look(name)}
              >
                Show
              </button>
              {step < steps && (
                <button
                  type="button"
                  aria-label={`Continue ${name}`}
                  disabled={!idle || busy}
                  onClick={() => void goOn(name)}
                >
                  Continue
                </button>
              )}
              <button
                type="button"
                aria-label={`Download ${name}`}
                disabled={!idle}
                onClick={() => void download(name)}
              >
                Download
              </button>
              <button
                type="button"
                aria-label={`Delete ${name}`}
                disabled={!idle || busy}
                onClick={() => confirm(`Delete ${name} from this browser?`) && void remove(name)}
              >
                Delete
              </button>
            </div>
          </li>
        ))}
      </ul>
      <div class="row">
        <Upload label="Open a zip file" folder={false} idle={idle} />
        <Upload label="Open a run folder" folder idle={idle} />
      </div>
      <p class="quiet">
        A downloaded run is what <code>longhand train</code> writes: unzip it, then{" "}
        <code>longhand generate folder "The"</code>. What Node has trained can be opened here.
      </p>
    </section>
  );
}

interface UploadProps {
  readonly label: string;
  readonly folder: boolean;
  readonly idle: boolean;
}

function Upload({ label, folder, idle }: UploadProps) {
  return (
    <label class="button">
      {label}
      <input
        type="file"
        class="over"
        disabled={!idle}
        {...(folder ? { webkitdirectory: true } : { accept: ".zip,application/zip" })}
        onChange={(event) => {
          const files = [...(event.currentTarget.files ?? [])];
          event.currentTarget.value = "";
          if (files.length > 0) void upload(files);
        }}
      />
    </label>
  );
}
