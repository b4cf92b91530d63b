/** The ablations from the command line: each trains, is measured, and writes or fills in blanks; and what is refused. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fail, jsonLines, succeed, tiny, workspace } from "./command.ts";

const { folder, text } = workspace();
const trainInto = (run: string, ...more: string[]) =>
  succeed(["train", "--data", text, "--out", run, ...tiny, "--steps", "2", ...more]);
const modelOf = (run: string) => JSON.parse(readFileSync(join(run, "config.json"), "utf8")).model;

/** Measures in contexts shorter than a chunk and of several, and writes beyond the training context. */
async function expectUsable(run: string): Promise<void> {
  for (const context of ["7", "64"]) await succeed(["eval", run, "--data", text, "--context", context]);
  const { stdout } = await succeed(["generate", run, "Call me", "--tokens", "70", "--json"]);
  expect(jsonLines(stdout)[0]).toMatchObject({ prompt: "Call me", tokens: expect.any(Number) });
}

describe("longhand train --ablation", { timeout: 60_000 }, () => {
  it("changes what the names say, several together", async () => {
    const run = join(folder, "several");
    await trainInto(run, "--ablation", "local,softmax-no-gate,token-shift");
    const fields = { attention: "local", attentionFunction: "softmax", gate: false, expansion: 3, tokenShift: true };
    expect(modelOf(run)).toMatchObject({ architecture: "flash", chunk: 16, norm: "scale", ...fields });
    await expectUsable(run);
  });

  it("changes flash-quad, which writes up to its length", async () => {
    const run = join(folder, "quad");
    await trainInto(run, "--model", "flash-quad", "--ablation", "softmax,layer-norm");
    expect(modelOf(run)).toMatchObject({ architecture: "flash-quad", attentionFunction: "softmax", norm: "layer" });
    await succeed(["generate", run, "Call me", "--tokens", "30"]);
  });

  it("is one line of a settings file, and fills in blanks", async () => {
    const run = join(folder, "filled");
    const settings = join(folder, "laplace.json");
    writeFileSync(settings, '{ "ablation": "laplace" }');
    await trainInto(run, "--config", settings, "--objective", "masked");
    expect(modelOf(run)).toMatchObject({ attentionFunction: "laplace", gate: true, causal: false });
    await succeed(["eval", run, "--data", text, "--context", "50"]);
    const { stdout } = await succeed(["fill", run, "It was a [MASK] day.", "--json"]);
    expect(jsonLines(stdout)[0]).toMatchObject({ blanks: [expect.any(Array)] });
  });

  it.each(["local", "global"])("--attention %s is the same as the ablation", async (attention) => {
    const run = join(folder, attention);
    await trainInto(run, "--attention", attention);
    expect(modelOf(run).attention).toBe(attention);
    await expectUsable(run);
  });

  const train = "train --data text.txt --out new";
  it.concurrent.each([
    ["--ablation sofmax", /ablation sofmax: expected one of local, .*chunk-1024 for flash \(did you mean softmax\?\)$/],
    ["--ablation local,global", /ablation local,global: both set attention; choose one of them$/],
    ["--ablation softmax,laplace", /ablation softmax,laplace: both set attentionFunction; choose one of them$/],
    [
      "--ablation global,softmax",
      /model.attentionFunction "softmax": expected relu2 with attention global, which has no/,
    ],
    ["--ablation local --attention global", /ablation local: it contradicts attention global; give one of them$/],
    ["--ablation chunk-64 --chunk 32", /ablation chunk-64: it contradicts chunk 32; give one of them$/],
    [
      "--ablation chunk-512 --context 256",
      /chunk 512 does not fit a context of 256: choose a chunk of at most the context/,
    ],
    ["--ablation global,chunk-64 --context 64", /attention global: with a chunk of 64 and a context of 64 /],
    ["--model transformer++ --ablation softmax", /ablation softmax: transformer\+\+ has no ablations$/],
    ["--model flash-quad --ablation local", /ablation local: expected one of softmax, .* for flash-quad$/],
    ["--attention locl", /--attention "locl": .*did you mean local\?/],
    ["--attention local --model performer", /attention local: performer has no such choice/],
  ])("refuses %s", async (options, sentence) => {
    await fail(`${train} ${options}`.split(" "), 2, sentence, { cwd: folder });
  });
});
