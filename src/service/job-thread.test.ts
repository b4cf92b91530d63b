/** A thread that dies: those who wait are told, and whoever asks later. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, it } from "vitest";
import { JobThread } from "./job-thread.ts";
import type { JobProtocol } from "./jobs.ts";

const folder = mkdtempSync(join(tmpdir(), "longhand-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Scoring extends JobProtocol {
  readonly job: { readonly kind: "score"; readonly inputs: readonly string[] };
  readonly results: { readonly score: number };
}

const { signal } = new AbortController();

/** A thread that runs this code once it is told something. */
async function threadThat(code: string) {
  const file = join(folder, `${Math.random()}.mjs`);
  const head = 'import { parentPort } from "node:worker_threads";\n';
  writeFileSync(
    file,
    `${head}parentPort.on("message", (message) => { ${code} });\nparentPort.postMessage({ type: "ready", facts: {} });`,
  );
  const deaths: string[] = [];
  const onDeath = (reason: string) => void deaths.push(reason);
  const about = { setup: {}, path: "somewhere", name: "book", onWarning: () => {} };
  const thread = await JobThread.start<Scoring>({ ...about, onDeath, script: pathToFileURL(file) });
  return { thread, deaths };
}

it.each([
  ["throws", 'throw new Error("native trouble")', /native trouble/],
  ["ends", "process.exit(3)", /ended with status 3/],
])("that %s fails its jobs with 503, and is reported once", async (_, code, reason) => {
  const { thread, deaths } = await threadThat(code);
  const jobs = [1, 2].map(() => thread.run({ kind: "score", inputs: ["a"] }, { signal }).result);
  for (const job of jobs) await expect(job).rejects.toMatchObject({ status: 503, code: "model_stopped" });
  const late = thread.run({ kind: "score", inputs: ["a"] }, { signal }).result;
  await expect(late).rejects.toMatchObject({ status: 503 });
  expect(thread.alive).toBe(false);
  expect(deaths).toEqual([expect.stringMatching(reason)]);
  await thread.close();
});

it("that is asked to end reports nothing", async () => {
  const { thread, deaths } = await threadThat('if (message.type === "stop") parentPort.close()');
  await thread.close();
  expect(deaths).toEqual([]);
});
