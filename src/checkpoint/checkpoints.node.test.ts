import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HostTensor } from "../base/dtype.ts";
import { listCheckpoints, loadCheckpoint, loadLatestCheckpoint, saveCheckpoint } from "./checkpoints.node.ts";

let run: string;
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), "longhand-checkpoints-"));
});
afterEach(() => rmSync(run, { recursive: true, force: true }));

const content = (step: number) => {
  const tensor = (value: number): HostTensor => ({
    dtype: "float32",
    shape: [2, 3],
    data: new Float32Array(6).fill(value),
  });
  return {
    step,
    model: { "layers.0.weight": tensor(step), scale: tensor(step + 0.5) },
    optimizer: {
      "first.layers.0.weight": tensor(-step),
      count: { dtype: "int32", shape: [], data: Int32Array.of(step) } as const,
    },
    state: { seed: 7, cursor: [1, 2.5, null, true], text: "é", step },
  };
};
const save = (step: number, keep = 9) => saveCheckpoint(run, { ...content(step), keep });
const steps = async () => (await listCheckpoints(run)).map((place) => place.step);
const folder = (step: number) => join(run, "checkpoints", `step-${String(step).padStart(8, "0")}`);

/** The latest usable step, and the warnings on the way to it. */
async function latest(): Promise<{ step: number; warnings: string[] }> {
  const warnings: string[] = [];
  const { step, model } = await loadLatestCheckpoint(run, { onWarning: (message) => warnings.push(message) });
  expect({ ...model }).toEqual(content(step).model);
  return { step, warnings };
}

describe("saving and loading", () => {
  it("gives back everything, or the model only", async () => {
    const path = await save(500);
    expect(path).toBe(folder(500));
    expect(readdirSync(path).sort()).toEqual(["model.safetensors", "optimizer.safetensors", "state.json"]);
    expect(await loadLatestCheckpoint(run)).toEqual({ path, ...content(500) });
    rmSync(join(path, "optimizer.safetensors"));
    const { step, model, state } = content(500);
    expect(await loadLatestCheckpoint(run, { parts: "model" })).toEqual({ path, step, model, state });
    expect(readdirSync(join(run, "checkpoints"))).toEqual(["step-00000500"]);
  });

  it("keeps the newest few, counting only complete ones, and replaces one of the same step", async () => {
    for (const step of [1, 2, 3, 4, 5]) await save(step, 3);
    expect(await steps()).toEqual([3, 4, 5]);
    truncateSync(join(folder(5), "optimizer.safetensors"), 10);
    await save(6, 2);
    expect(await steps()).toEqual([4, 5, 6]);
    await save(5, 1);
    expect(await steps()).toEqual([5, 6]); // 6 is of a later step: training came back to before it
    expect((await loadCheckpoint(folder(5))).step).toBe(5);
  });

  it("sorts by number beyond eight digits and ignores other names", async () => {
    for (const step of [123456789, 99999999]) await save(step);
    mkdirSync(join(run, "checkpoints", "step-12"));
    mkdirSync(join(run, "checkpoints", "backup"));
    expect(await steps()).toEqual([99999999, 123456789]);
  });

  it.each([
    [{ step: -1 }, "step: expected an integer of 0 or more, got -1"],
    [{ keep: 0 }, "keep: expected an integer of 1 or more, got 0"],
    [{ state: { rate: Number.NaN } }, "state.rate: expected a value that JSON can hold, got NaN"],
    [{ state: { list: [new Map()] } }, "state.list[0]: expected a value that JSON can hold, got Map"],
  ])("refuses %j", async (change, message) => {
    await expect(saveCheckpoint(run, { ...content(1), keep: 1, ...change })).rejects.toThrow(message);
    expect(await steps()).toEqual([]);
  });
});

describe("a damaged checkpoint", () => {
  beforeEach(async () => {
    await save(1);
    await save(2);
  });

  it.each(["model.safetensors", "optimizer.safetensors", "state.json"])("is passed over: %s missing", async (name) => {
    rmSync(join(folder(2), name));
    const { step, warnings } = await latest();
    expect(step).toBe(1);
    expect(warnings).toEqual([`skipping a damaged checkpoint: ${join(folder(2), name)}: it is missing`]);
  });

  it.each(["model.safetensors", "optimizer.safetensors", "state.json"])(
    "is passed over: %s cut at any byte",
    async (name) => {
      const bytes = readFileSync(join(folder(2), name));
      const whole = bytes.length - (name === "state.json" ? 1 : 0); // its last byte, a line's end, is no loss
      for (let length = 0; length < whole; length++) {
        writeFileSync(join(folder(2), name), bytes.subarray(0, length));
        const { step, warnings } = await latest();
        expect(step, `${name} cut at ${length}`).toBe(1);
        expect(warnings).toHaveLength(1);
        expect(warnings[0]).toContain(join(folder(2), name));
      }
    },
  );

  it.each(["model.safetensors", "optimizer.safetensors", "state.json"])(
    "is passed over: a bit of %s flipped",
    async (name) => {
      const bytes = readFileSync(join(folder(2), name));
      let accepted = 0;
      for (let i = 0; i < bytes.length; i++) {
        const flipped = Buffer.from(bytes);
        flipped[i] ^= 1 << (i % 8);
        writeFileSync(join(folder(2), name), flipped);
        const { step, warnings } = await latest();
        if (step === 2) accepted++;
        else expect(warnings[0]).toContain(name);
      }
      // In state.json, some flips turn one kind of white space into another: the content is the same.
      if (name !== "state.json") expect(accepted).toBe(0);
      else expect(accepted).toBeLessThan(bytes.length / 10);
    },
  );

  it("is passed over: a safetensors header that lies, though all checksums agree with it", async () => {
    const file = join(folder(2), "model.safetensors");
    const lie = Buffer.from(readFileSync(file).toString("latin1").replace("[2,3]", "[2,4]"), "latin1");
    writeFileSync(file, lie);
    const manifestFile = join(folder(2), "state.json");
    const { sha256: _, ...manifest } = JSON.parse(readFileSync(manifestFile, "utf8"));
    const hash = (data: Buffer | string) => createHash("sha256").update(data).digest("hex");
    manifest.files["model.safetensors"].sha256 = hash(lie);
    writeFileSync(manifestFile, JSON.stringify({ ...manifest, sha256: hash(JSON.stringify(manifest)) }));
    const { step, warnings } = await latest();
    expect(step).toBe(1);
    expect(warnings[0]).toContain(`${file}: tensor "layers.0.weight": shape [2, 4] of F32 takes 32 bytes`);
  });

  it("is passed over: a folder renamed to another step", async () => {
    renameSync(folder(1), folder(3));
    const { step, warnings } = await latest();
    expect(step).toBe(2);
    expect(warnings).toEqual([`skipping a damaged checkpoint: ${folder(3)}: it holds step 1: the folder was renamed`]);
  });

  it("is passed over: of another version", async () => {
    const file = join(folder(2), "state.json");
    writeFileSync(file, readFileSync(file, "utf8").replace('"version": 1', '"version": 2'));
    const { step, warnings } = await latest();
    expect(step).toBe(1);
    expect(warnings[0]).toContain("state.json: it has version 2, and this version of Longhand reads 1");
  });

  it("is an error when there is no other, and so is none at all", async () => {
    for (const step of [1, 2]) truncateSync(join(folder(step), "model.safetensors"), 100);
    await expect(loadLatestCheckpoint(run)).rejects.toMatchObject({
      code: "checkpoint",
      message: expect.stringMatching(
        /all its 2 checkpoints are damaged: .*step-00000002.*100 bytes long instead of \d+/,
      ),
    });
    await expect(loadLatestCheckpoint(join(run, "missing"))).rejects.toMatchObject({
      code: "checkpoint",
      message: expect.stringContaining("it holds no checkpoint yet"),
    });
  });
});

describe("a kill in the middle", () => {
  it("of replacing a checkpoint loses nothing: the old one is found and put back", async () => {
    await save(1);
    const aside = join(run, "checkpoints", ".step-00000001.old-999999999-0123abcd");
    renameSync(folder(1), aside);
    expect((await latest()).step).toBe(1);
    await save(2);
    expect(await steps()).toEqual([1, 2]);
    expect(existsSync(aside)).toBe(false);
  });

  it("of saving leaves a temporary that the next save removes", async () => {
    await save(1);
    const temporary = join(run, "checkpoints", ".step-00000002.tmp-999999999-0123abcd");
    cpSync(folder(1), temporary, { recursive: true });
    expect(await steps()).toEqual([1]);
    await save(2);
    expect(readdirSync(join(run, "checkpoints"))).toEqual(["step-00000001", "step-00000002"]);
  });
});
