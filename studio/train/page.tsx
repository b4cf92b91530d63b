/**
 * Starts a training, or lets one go on: a form made from the settings' schema, beside the command that it stands for.
 */
import { useEffect, useState } from "preact/hooks";
import type { CommandLine, JsonSchema, TrainingForm, TrainingRequest } from "../../src/studio/api.ts";
import { announce } from "../base/announce.ts";
import { ask, sentenceOf } from "../base/client.ts";
import { Button, Message } from "../base/controls.tsx";
import { useLoaded } from "../base/load.ts";
import { address, route } from "../base/route.ts";
import { Field } from "./field.tsx";
import { groupsOf, settingsOf, type Written } from "./fields.ts";

export function TrainPage() {
  const { value: form, problem } = useLoaded("settings", (signal) => ask("GET /api/settings", {}, signal));
  const resume = route.value.query.get("resume") ?? undefined;
  if (problem !== undefined) return <Message kind="problem">{problem}</Message>;
  if (form === undefined) return <p class="quiet empty">Reading the settings…</p>;
  return <Form key={resume} form={form} resume={resume} />;
}

const PAUSE_MS = 200;

interface FormProps {
  readonly form: TrainingForm;
  readonly resume: string | undefined;
}

function Form({ form, resume }: FormProps) {
  const schema: JsonSchema = resume === undefined ? form.settings : form.resume;
  const [written, setWritten] = useState<Written>({});
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  const settings = settingsOf(written, schema);
  const request: TrainingRequest = resume === undefined ? { settings } : { resume, settings };
  const command = useCommand(request);
  const groups =
    resume === undefined ? groupsOf(schema) : [{ title: "Go on", fields: Object.keys(schema.properties ?? {}) }];

  async function start() {
    setBusy(true);
    try {
      const { run } = await ask("POST /api/trainings", request);
      announce(`${run} is being trained.`);
      location.hash = address("runs", { run, view: "details" });
    } catch (error) {
      setProblem(sentenceOf(error));
    }
    setBusy(false);
  }

  return (
    <form
      class="train"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        start();
      }}
    >
      <div>
        <h2>{resume === undefined ? "New training" : `Go on with ${resume}`}</h2>
        {groups.map(({ title, fields }, index) => (
          <Fields
            key={title}
            title={title}
            open={index === 0}
            written={fields.filter((name) => written[name] !== undefined && written[name] !== "").length}
          >
            {fields.map((name) => (
              <Field
                key={name}
                name={name}
                flag={form.flags[name]}
                schema={schema.properties?.[name] ?? {}}
                value={written[name]}
                onChange={(value) => {
                  setProblem(undefined);
                  setWritten((before) => ({ ...before, [name]: value }));
                }}
              />
            ))}
          </Fields>
        ))}
      </div>
      <aside class="order" aria-label="The command">
        <h2>Command</h2>
        <Command command={command.value} />
        {(problem ?? command.problem) !== undefined && <Message kind="problem">{problem ?? command.problem}</Message>}
        <Button kind="main" type="submit" busy={busy} disabled={command.value === undefined}>
          {resume === undefined ? "Start training" : "Go on"}
        </Button>
        <p class="quiet">It is a process of its own: it goes on when this page or the studio is closed.</p>
      </aside>
    </form>
  );
}

interface FieldsProps {
  readonly title: string;
  readonly open: boolean;
  /** How many of them are not left as they are. */
  readonly written: number;
  readonly children: preact.ComponentChildren;
}

function Fields({ title, open, written, children }: FieldsProps) {
  if (open) return <div class="fields sheet">{children}</div>;
  return (
    <wa-details appearance="plain" summary={written === 0 ? title : `${title} (${written} set)`}>
      <div class="fields">{children}</div>
    </wa-details>
  );
}

function Command({ command }: { readonly command: CommandLine | undefined }) {
  if (command === undefined) return <p class="quiet">Say what to learn: data, or a mixture.</p>;
  return (
    <>
      <div class="command">
        <code>
          {command.line.split(/ (?=--[a-z])/).map((part) => (
            <span key={part}>{part} </span>
          ))}
        </code>
        <wa-copy-button value={command.line} copyLabel="Copy the command" />
      </div>
      <p class="quiet">
        Writes the run <b>{command.run}</b>.
      </p>
    </>
  );
}

/** Whether it says what to learn, or what to go on with: nothing else must be said. */
function isComplete(request: TrainingRequest): boolean {
  return "resume" in request || "data" in request.settings || "mix" in request.settings;
}

/** The command of a request, asked for when nothing has been typed for a moment. */
function useCommand(request: TrainingRequest): { readonly value?: CommandLine; readonly problem?: string | undefined } {
  const [state, setState] = useState<{ value?: CommandLine; problem?: string | undefined }>({});
  const body = JSON.stringify(request);
  useEffect(() => {
    const ending = new AbortController();
    const timer = setTimeout(() => {
      if (!isComplete(JSON.parse(body))) return setState({});
      ask("POST /api/command", JSON.parse(body), ending.signal).then(
        (value) => setState({ value }),
        (error: unknown) => !ending.signal.aborted && setState({ problem: sentenceOf(error) }),
      );
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      ending.abort();
    };
  }, [body]);
  return state;
}
