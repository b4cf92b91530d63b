/** `longhand train` as it should go: what it prints where, and what it leaves behind. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type RunConfig, runConfigSchema } from "../../src/config/run-config.ts";
import type { SampleRecord } from "../../src/training/sample.ts";
import { jsonLines, learnt, longhand, sampleText, succeed, tiny, treeOf, workspace } from "./command.ts";

const { folder, text } = workspace();

const trainInto = (run: string, ...more: string[]) => ["train", "--data", text, "--out", run, ...tiny, ...more];

describe("longhand train", { timeout: 60_000 }, () => {
  it("writes a complete run folder, its progress to stderr and nothing to stdout", async () => {
    const run = join(folder, "plain");
    const { stdout, stderr } = await succeed(trainInto(run, "--steps", "6", "--eval-every", "3", "--save-every", "2"));
    expect(stdout).toBe("");
    expect(stderr).toContain("training the tokenizer");
    expect(stderr).toMatch(/plain: flash, .* parameters, \d+ tokens to learn, \d+ held out/);
    expect(stderr).toMatch(/train 6\/6 loss \d\.\d+ ppl \d+\.\d \d+ tokens\/s 0s left/);
    expect(stderr).toMatch(/step 3: held-out loss .*\n(.*\n)*step 6: held-out loss/);
    expect(stderr).toContain(`longhand generate ${run} `);

    expect(
      readdirSync(run)
        .map((name) => name.replace(/\.\d+\..*\.\d+$/, ""))
        .sort(),
    ).toEqual(["checkpoints", "config.json", "data", "events.out.tfevents", "metrics.jsonl", "tokenizer.json"]);
    const steps = ["step-00000002", "step-00000004", "step-00000006"]; // the newest three
    expect(readdirSync(join(run, "checkpoints")).sort()).toEqual(steps);
    for (const step of steps) {
      const files = readdirSync(join(run, "checkpoints", step)).sort();
      expect(files).toEqual(["model.safetensors", "optimizer.safetensors", "state.json"]);
    }
    const records = jsonLines(readFileSync(join(run, "metrics.jsonl"), "utf8"));
    expect(records.map(({ type, step }) => `${type} ${step}`)).toEqual(
      "checkpoint 0,train 1,train 2,checkpoint 2,train 3,eval 3,train 4,checkpoint 4,train 5,train 6,eval 6,checkpoint 6,finished 6".split(
        ",",
      ),
    );
    expect(JSON.parse(readFileSync(join(run, "tokenizer.json"), "utf8")).model.type).toBe("BPE");
  });

  it("takes the weight decay from how often the text is read, and keeps one that is given", async () => {
    const decayOf = async (run: string, ...more: string[]) => {
      const { stdout } = await succeed(trainInto(run, "--steps", "3", "--json", ...more));
      const start = jsonLines(stdout).find(({ type }) => type === "start") as {
        trainTokens: number;
        config: RunConfig;
      };
      const saved = JSON.parse(readFileSync(join(run, "config.json"), "utf8")).training.optimizer;
      expect(saved).toEqual(start.config.training.optimizer);
      return { ...saved, textTokens: start.trainTokens };
    };
    const own = await decayOf(join(folder, "own-decay"), "--lr", "0.5", "--set", "training.schedule.warmup=1");
    expect(own).toMatchObject({ decayFromText: false, weightDecay: 0.04 }); // a fiftieth a step: 3 steps are few
    const given = await decayOf(join(folder, "given-decay"), "--weight-decay", "0.3");
    expect(given).toMatchObject({ decayFromText: false, weightDecay: 0.3 });
  });

  it("says where a model has begun to learn its text by heart", async () => {
    const other = join(folder, "other.txt"); // nothing that helps with the text helps here
    writeFileSync(other, Array.from({ length: 900 }, (_, i) => `${(i * 7919) % 1000}`).join("\n"));
    const flags = ["--eval-data", other, "--lr", "0.05", "--steps", "40", "--eval-every", "5"];
    const { stderr } = await succeed(trainInto(join(folder, "by-heart"), ...flags));
    expect(stderr).toMatch(
      /warning: the held-out perplexity was lowest at step \d+ \([\d.]+\) and is [\d.]+ now: .*by heart/,
    );
  });

  it("writes a configuration in which nothing is left to defaults", async () => {
    const run = join(folder, "config");
    await succeed(trainInto(run, "--steps", "1", "--seed", "7", "--set", "training.optimizer.beta2=0.99"));
    const { format, version, ...config } = JSON.parse(readFileSync(join(run, "config.json"), "utf8"));
    expect([format, version]).toEqual(["longhand-run", 1]);
    expect(runConfigSchema.parse(config)).toEqual(config); // strict, and no default of the schema was needed
    expect(config.model).toEqual({
      architecture: "flash",
      attention: "mixed",
      vocabSize: 300,
      width: 32,
      layers: 1,
      expansion: 2,
      shared: 16,
      chunk: 16,
      maxLength: 64,
      attentionFunction: "relu2",
      gate: true,
      tokenShift: false,
      norm: "scale",
      causal: true,
      memory: "learned",
      halfLives: [1, 64],
      gamma: "normal",
      absolute: false,
      embedding: "normal",
      outputMaps: "zero",
      head: "own",
    });
    expect(config.data.path).toBe(text);
    expect(config.training).toMatchObject({
      context: 64,
      documents: "joined",
      batch: 2,
      recompute: "none",
      steps: 1,
      seed: 7,
      optimizer: { beta2: 0.99 },
    });
    expect(config.engine).toEqual({ device: "cpu", threads: 1 });
  });

  it("prints its events as JSON lines with --json, and the same progress to stderr", async () => {
    const run = join(folder, "json");
    const { stdout, stderr } = await succeed(trainInto(run, "--steps", "3", "--json"));
    const events = jsonLines(stdout);
    expect(events.map(({ type }) => type)).toEqual(
      "prepare,prepare,start,checkpoint,train,train,train,eval,checkpoint,end".split(","),
    );
    expect(events[2]).toMatchObject({ run, step: 0, config: { training: { steps: 3 } } });
    expect(events[4]).toMatchObject({ step: 1, tokens: 128, loss: expect.any(Number), perplexity: expect.any(Number) });
    expect(events[9]).toMatchObject({ run, step: 3, finished: true, loss: events[7].loss });
    expect(stderr).toContain("finished at step 3");
  });

  it("takes flags from --config, which those of the command line overrule", async () => {
    const file = join(folder, "flags.json");
    const run = join(folder, "from-file");
    writeFileSync(file, JSON.stringify({ data: text, out: run, steps: 50, "eval-every": 2, seed: 3 }));
    await succeed(["train", "--config", file, ...tiny, "--steps", "2"]);
    const { training } = JSON.parse(readFileSync(join(run, "config.json"), "utf8"));
    expect(training).toMatchObject({ steps: 2, evalEvery: 2, seed: 3 });
  });

  it("writes a sample at each evaluation, which the saved model writes too, and none with a masked model", async () => {
    const run = join(folder, "samples");
    const sampled = ["--sample", "The same", "--sample-tokens", "12", "--seed", "3"];
    const { stderr } = await succeed(trainInto(run, "--steps", "4", "--eval-every", "2", ...sampled));
    const records = jsonLines(readFileSync(join(run, "metrics.jsonl"), "utf8"));
    const samples = records.filter(({ type }) => type === "sample") as unknown as SampleRecord[];
    expect(samples.map(({ step, prompt }) => [step, prompt])).toEqual([
      [2, "The same"],
      [4, "The same"],
    ]);
    const { stdout } = await succeed(["generate", run, "The same", "--tokens", "12", "--seed", "3", "--json"]);
    expect(jsonLines(stdout)[0]).toMatchObject({ text: samples[1].text });
    expect(stderr).toContain(`The same${samples[1].text}`.replace(/\s+/g, " "));
    const refused = await longhand(trainInto(join(folder, "no-sample"), "--objective", "masked", "--sample", "The"));
    expect(refused).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("--sample The: expected none for a masked model"),
    });
  });

  it("gives the same losses and the same bytes twice from one seed, and others from another", async () => {
    const runs = ["once", "twice", "other"].map((name) => join(folder, name));
    const seeds = ["5", "5", "6"];
    // The second as a user starts it, with huge pages where the system has them.
    await Promise.all(
      runs.map((run, i) =>
        succeed(trainInto(run, "--steps", "6", "--accumulate", "2", "--seed", seeds[i]), { startsAgain: i === 1 }),
      ),
    );
    const [once, twice, other] = runs.map((run) => learnt(run, 6));
    expect(once.losses).toHaveLength(6);
    expect(twice).toEqual(once);
    expect(other.model).not.toBe(once.model);
    expect(other.losses).not.toEqual(once.losses);
  });

  it("trains flash-quad, on a folder of texts, with a held-out text of its own", async () => {
    const run = join(folder, "quad");
    const texts = join(folder, "texts");
    mkdirSync(texts);
    for (const name of ["1.txt", "2.md"]) writeFileSync(join(texts, name), sampleText(5000));
    await succeed([
      "train",
      "--data",
      texts,
      "--out",
      run,
      ...tiny,
      "--steps=2",
      "--model=flash-quad",
      "--eval-data",
      text,
    ]);
    const { model, data } = JSON.parse(readFileSync(join(run, "config.json"), "utf8"));
    expect([model.architecture, data.evalPath]).toEqual(["flash-quad", text]);
    expect(readdirSync(join(run, "data")).sort()).toEqual(["heldout", "train"]);
  });

  it("reads prepared tokens where they are", async () => {
    const run = join(folder, "from-shards");
    const shards = join(folder, "once", "data", "train");
    const before = treeOf(shards);
    await succeed(["train", "--data", shards, "--out", run, ...tiny, "--steps", "2"]);
    expect(readdirSync(run)).not.toContain("data");
    expect(treeOf(shards)).toEqual(before);
  });

  it("ends quietly when the reader of its output goes away", async () => {
    const run = join(folder, "pipe");
    const { status, stderr } = await longhand(trainInto(run, "--steps", "2", "--json"), {
      through: ["bash", "-o", "pipefail", "-c", '"$@" | head -n 1', "bash"],
    });
    expect(status).toBe(0);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});
