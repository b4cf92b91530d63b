/**
 * `npx tsx --conditions=longhand-source bench/soak.ts MODEL [--minutes 10]`: a server of its own at full load, by clients that
 * stream, wait, leave in the middle, go on with sessions, begin alike, and send nonsense. Prints its memory as it goes, and at
 * the end the means of the second quarter of the time and of the last: they should be alike.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { randomKey, randomUniform } from "../src/base/random.ts";
import { longhandEnvironment } from "./machine.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: "string", default: "10" } },
});
const minutes = Number(values.minutes);
if (positionals.length !== 1 || !(minutes > 0)) throw new Error("expected a model, and --minutes above 0");

const CLIENTS = 24;
const SAMPLE_MS = 2000;
const model = basename(resolve(positionals[0]));
const sessions = mkdtempSync(join(tmpdir(), "longhand-soak-"));
const command = fileURLToPath(new URL("../bin/longhand.js", import.meta.url));
const args = [
  "serve",
  positionals[0],
  "--port",
  "0",
  "--json",
  "--sessions",
  sessions,
  "--session-count",
  "16",
  "--prefix-megabytes",
  "16",
  "--queue",
  "12",
];
const server = spawn(process.execPath, [command, ...args], {
  env: longhandEnvironment(),
  stdio: ["ignore", "pipe", "inherit"],
});
let address = "";
const listening = new Promise<void>((done) => {
  createInterface({ input: server.stdout }).on("line", (line) => {
    const found = /"address":"([^"]+)"/.exec(line)?.[1];
    if (found === undefined) return;
    address = found;
    done();
  });
});
await Promise.race([listening, once(server, "exit")]);
if (address === "") throw new Error("the server ended before it listened");

const end = performance.now() + 60_000 * minutes;
const answers = new Map<string, number>();
const beginning = "The whale is a fish of the sea, and it swims. ".repeat(80);

async function client(seed: number): Promise<void> {
  const key = randomKey(seed, "soak");
  let count = 0;
  const random = (most: number) => Math.floor(most * randomUniform(key, count++));
  let session: string | undefined;
  while (performance.now() < end) {
    const kind = random(8);
    const controller = new AbortController();
    const body: Record<string, unknown> = {
      model,
      prompt: `${random(1000)} It was`,
      max_tokens: 1 + random(150),
      seed: random(100),
    };
    if (kind === 1) body.prompt = beginning + random(1000);
    if (kind === 2) Object.assign(body, { n: 3, logprobs: 5, echo: true });
    if (kind === 3) Object.assign(body, { session: session ?? true, prompt: ` ${random(10)}` });
    if (kind === 4) body.tempersture = 1;
    if (kind !== 5) body.stream = random(2) === 0;
    const path = kind === 5 ? "/v1/embeddings" : "/v1/completions";
    const sent = kind === 5 ? { model, input: [beginning.slice(random(100)), "a"] } : body;
    if (kind === 6) setTimeout(() => controller.abort(), random(300));
    let answer = "left";
    try {
      const response = await fetch(address + path, {
        ...{ method: "POST", signal: controller.signal, body: JSON.stringify(sent) },
        headers: { "content-type": "application/json" },
      });
      const text = await response.text();
      answer = String(response.status);
      if (kind === 3)
        session = response.ok && random(10) > 0 ? (/"session":"(sess_[^"]+)"/.exec(text)?.[1] ?? undefined) : undefined;
    } catch (error) {
      if (!controller.signal.aborted) answer = String(error);
    }
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
    if (answer === "429") await new Promise((done) => setTimeout(done, 200));
  }
}

const samples: number[] = [];
async function watch(): Promise<void> {
  const begun = performance.now();
  while (performance.now() < end) {
    await new Promise((done) => setTimeout(done, SAMPLE_MS));
    const text = await (await fetch(`${address}/metrics`)).text();
    const read = (name: string) => Number(new RegExp(`^longhand_${name}(?:\\{.*\\})? (.*)$`, "m").exec(text)?.[1]);
    samples.push(read("process_resident_memory_bytes"));
    const seconds = Math.round((performance.now() - begun) / 1000);
    const megabytes = Math.round(samples[samples.length - 1] / 1e6);
    process.stdout.write(
      `${seconds} s: ${megabytes} MB, ${read("written_tokens_total")} tokens, ${read("sessions")} sessions\n`,
    );
  }
}

await Promise.all([watch(), ...Array.from({ length: CLIENTS }, (_, i) => client(i))]);
server.kill("SIGTERM");
const [status] = await once(server, "exit");
rmSync(sessions, { recursive: true, force: true });
const mean = (from: number, to: number) => {
  const some = samples.slice(Math.floor(from * samples.length), Math.max(1, Math.floor(to * samples.length)));
  return some.reduce((sum, bytes) => sum + bytes, 0) / some.length / 1e6;
};
const told = [...answers].map(([answer, count]) => `${answer}: ${count}`).join(", ");
process.stdout.write(`answers: ${told}; the server ended with status ${status}\n`);
process.stdout.write(`memory: ${mean(0.25, 0.5).toFixed(0)} MB, at the end ${mean(0.75, 1).toFixed(0)} MB\n`);
