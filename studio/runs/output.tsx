/** What a process that the studio started has written, as a terminal would show it. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Training } from "../../src/studio/api.ts";
import { ask, sentenceOf } from "../base/client.ts";

const LINES = 400;

export function Output({ training }: { readonly training: Training }) {
  const { id, running, exitCode, outputBytes, command } = training;
  const [text, setText] = useState("");
  const next = useRef<number | undefined>(undefined);
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    if (next.current !== undefined && outputBytes <= next.current) return;
    const ending = new AbortController();
    const from = next.current;
    ask("GET /api/output", { training: id, ...(from !== undefined && { from }) }, ending.signal).then(
      (page) => {
        next.current = page.next;
        setText((before) => lastLines((from === undefined ? "" : before) + page.text));
      },
      (error: unknown) => {
        const problem = sentenceOf(error);
        if (problem !== undefined) setText((before) => `${before}\n${problem}`);
      },
    );
    return () => ending.abort();
  }, [id, outputBytes]);
  useEffect(() => {
    const element = box.current;
    if (element === null || text === "") return;
    element.tabIndex = 0; // it scrolls, from the keyboard too
    element.scrollTop = element.scrollHeight;
  }, [text]);
  const ending = exitCode === undefined || exitCode === null ? "ended" : `ended with ${exitCode}`;
  const failed = !running && exitCode !== undefined && exitCode !== null && exitCode !== 0;
  return (
    <>
      <h4>
        Output{" "}
        {failed ? (
          <wa-badge variant="danger" appearance="filled" pill>
            {ending}
          </wa-badge>
        ) : (
          <span class="quiet">{running ? "running" : ending}</span>
        )}
      </h4>
      <pre ref={box} class="output" role="log" aria-label="Output of the training">
        {`$ ${command}\n${shown(text)}`}
      </pre>
    </>
  );
}

function lastLines(text: string): string {
  const lines = text.split("\n");
  return lines.length <= LINES ? text : lines.slice(-LINES).join("\n");
}

/** A carriage return begins the line anew: what was before it is written over. */
function shown(text: string): string {
  return text
    .split("\n")
    .map((line) => line.replace(/\r$/, "").split("\r").at(-1))
    .join("\n");
}
