/**
 * Each chosen run by itself: what it is, what can be done with it, its checkpoints and files, what its process
 * writes.
 */
import { useState } from "preact/hooks";
import type { RunSummary, Training } from "../../src/studio/api.ts";
import { announce } from "../base/announce.ts";
import { ask, sentenceOf } from "../base/client.ts";
import { Button, Message } from "../base/controls.tsx";
import { bytes, duration, figures, short, whole } from "../base/format.ts";
import { useLoaded } from "../base/load.ts";
import { address } from "../base/route.ts";
import { chosen } from "./chosen.ts";
import { modelOf, Status } from "./list.tsx";
import { Output } from "./output.tsx";
import { histories, runs, trainings } from "./store.ts";

export function Details() {
  const all = runs.value ?? [];
  const cards = chosen.value.flatMap((name) => {
    const summary = all.find(({ run }) => run === name);
    const training = trainings.value.find(({ run }) => run === name);
    return summary === undefined && training === undefined ? [] : [{ name, summary, training }];
  });
  if (cards.length === 0) return <p class="quiet empty">Tick a run to see what can be done with it.</p>;
  return (
    <div class="cards">
      {cards.map(({ name, ...card }) => (
        <Card key={name} name={name} {...card} />
      ))}
    </div>
  );
}

interface CardProps {
  readonly name: string;
  /** Undefined as long as its process has not made the folder. */
  readonly summary: RunSummary | undefined;
  /** If it was started from the studio. */
  readonly training: Training | undefined;
}

function Card({ name, summary, training }: CardProps) {
  return (
    <section class="card" aria-label={name}>
      <header class="row between">
        <h3>{name}</h3>
        {summary !== undefined && <Status summary={summary} />}
      </header>
      {summary?.problem !== undefined && <Message kind="problem">{summary.problem}</Message>}
      {summary !== undefined && <Actions summary={summary} />}
      {summary !== undefined && <Numbers summary={summary} />}
      {summary !== undefined && summary.status !== "damaged" && <Folder summary={summary} />}
      {training !== undefined && <Output training={training} />}
    </section>
  );
}

function Actions({ summary }: { readonly summary: RunSummary }) {
  const { run, status, process, checkpoint, objective } = summary;
  const [asked, setAsked] = useState(0);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  async function stop() {
    try {
      const answer = await ask("POST /api/stop", { run });
      setAsked(answer.asked);
      announce(answer.asked > 1 ? `${run} stops at once.` : `${run} stops after this step and saves it.`);
    } catch (error) {
      setProblem(sentenceOf(error));
    }
  }
  return (
    <>
      <div class="row">
        {status === "running" && process?.here !== false && (
          <Button kind="danger" onClick={stop}>
            {asked === 0 ? "Stop" : "Stop at once"}
          </Button>
        )}
        {(status === "stopped" || status === "finished") && checkpoint !== undefined && (
          <Button href={address("train", { resume: run })}>{status === "stopped" ? "Resume…" : "Train on…"}</Button>
        )}
        {checkpoint !== undefined &&
          (objective === "masked" ? (
            <Button href={address("fill", { model: run })}>Fill blanks</Button>
          ) : (
            <>
              <Button href={address("write", { model: run })}>Write</Button>
              <Button href={address("read", { model: run })}>Read a text</Button>
            </>
          ))}
      </div>
      {asked > 0 && status === "running" && <p class="quiet">Asked to stop; it ends after this step and saves it.</p>}
      {problem !== undefined && <Message kind="problem">{problem}</Message>}
    </>
  );
}

function Numbers({ summary }: { readonly summary: RunSummary }) {
  const { steps, step, tokens, seconds, evaluation, loss, context, data, process } = summary;
  const skips = histories.value.get(summary.run)?.history.skips.length ?? 0;
  const facts: readonly (readonly [string, string])[] = [
    ["model", `${modelOf(summary)}, context ${whole(context)}`],
    ["learns", `${data ?? "–"} (${summary.objective ?? "–"})`],
    ["steps", `${whole(step)} of ${whole(steps)}${skips > 0 ? `, ${skips} skipped` : ""}`],
    ["tokens", short(tokens)],
    ["time", duration(seconds)],
    ["speed", `${short(summary.tokensPerSecond)} tokens/s`],
    ["loss", figures(loss)],
    [
      "held-out perplexity",
      evaluation === undefined ? "–" : `${figures(evaluation.perplexity)} at ${whole(evaluation.step)}`,
    ],
    ...(process === undefined ? [] : [["process", `${process.pid} on ${process.host}`] as const]),
    ...(process?.memoryBytes === undefined ? [] : [["memory", bytes(process.memoryBytes)] as const]),
  ];
  return (
    <dl class="numbers">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const WHAT = { resume: "go on", generate: "write", fill: "fill", eval: "evaluate", serve: "serve" } as const;

function Folder({ summary: { run, checkpoint, status } }: { readonly summary: RunSummary }) {
  const { value, problem } = useLoaded(`${run} ${checkpoint} ${status}`, (signal) =>
    ask("GET /api/run", { run }, signal),
  );
  if (problem !== undefined) return <Message kind="problem">{problem}</Message>;
  if (value === undefined) return null;
  const { commands, checkpoints, files } = value;
  return (
    <>
      <h4>Commands</h4>
      <ul class="commands">
        {commands.map(({ what, line }) => (
          <li key={what}>
            <span class="quiet">{WHAT[what]}</span>
            <code>{line}</code>
            <wa-copy-button value={line} copyLabel={`Copy the command to ${WHAT[what]}`} />
          </li>
        ))}
      </ul>
      <h4>Checkpoints and files</h4>
      <ul class="files">
        {checkpoints.map(({ step, bytes: size }) => (
          <li key={step}>
            step {whole(step)} <span class="quiet">{bytes(size)}</span>
          </li>
        ))}
        {files.map(({ name, bytes: size }) => (
          <li key={name}>
            {name} <span class="quiet">{bytes(size)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
