/** `longhand inspect` of everything that Longhand writes, whole and damaged, and of what is nothing of that. */
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { program } from "../../src/graph/program.ts";
import { input } from "../../src/graph/tensor.ts";
import { toOnnx } from "../../src/onnx/model.ts";
import { fail, jsonLines, longhand, succeed, tiny, workspace } from "./command.ts";

const { folder, text } = workspace();
const at = (...names: string[]) => join(folder, ...names);
const [run, exported, adapted, onnx] = [at("run"), at("exported"), at("adapted"), at("model.onnx")];

beforeAll(async () => {
  await succeed(["train", "--data", text, "--out", run, ...tiny, "--steps", "3"]);
  await succeed(["export", run, "--out", exported, "--weights", "int8"]);
  const few = ["--steps", "2", "--batch", "1", "--threads", "1", "--adapter", "rank=2"];
  await succeed(["train", "--from", run, "--data", text, "--out", adapted, ...few]);
  const x = input("x", [2, 3]);
  writeFileSync(onnx, toOnnx(program("product", { y: x.matmul(x.swapLast()) })).bytes);
}, 120_000);

async function inspected(path: string, status = 0) {
  const { stdout, status: ended } = await longhand(["inspect", path, "--json"]);
  expect(ended).toBe(status);
  return jsonLines(stdout)[0] as { kind: string; facts: Record<string, unknown>; problems: string[] };
}

const model = { architecture: "FLASH", layers: 1, width: 32, vocabulary: 300, objective: "causal", context: 64 };

it("says what each is", { timeout: 120_000 }, async () => {
  expect(await inspected(run)).toMatchObject({
    kind: "run",
    facts: { ...model, step: 3, weights: "float32", checkpoints: [0, 3] },
    problems: [],
  });
  expect(await inspected(exported)).toMatchObject({
    kind: "export",
    facts: { ...model, step: 3, weights: "int8", files: { "model.safetensors": expect.any(Number) } },
    problems: [],
  });
  expect(await inspected(join(adapted, "adapter.safetensors"))).toMatchObject({
    kind: "adapter",
    facts: { rank: "2", alpha: "2", bytesByType: { F32: expect.any(Number) } },
    problems: [],
  });
  expect(await inspected(join(run, "data"))).toMatchObject({ kind: "shards", facts: { vocabulary: 300 } });
  expect(await inspected(join(run, "tokenizer.json"))).toMatchObject({ kind: "tokenizer", facts: { vocabulary: 300 } });
  const weights = join(exported, "model.safetensors");
  expect(await inspected(weights)).toMatchObject({
    kind: "safetensors",
    facts: { metadata: { weights: "int8", block: "32" }, bytes: readFileSync(weights).length },
  });
  expect(await inspected(onnx)).toMatchObject({
    kind: "onnx",
    facts: {
      inputs: ["x"],
      outputs: ["y"],
      operators: 2,
      kinds: ["MatMul", "Transpose"],
      operatorSets: ["ai.onnx 20"],
    },
  });
});

it("lists the external data of a graph of an export", async () => {
  const [graph] = readdirSync(exported).filter((name) => name.endsWith(".onnx"));
  const { facts, problems } = await inspected(join(exported, graph));
  const places = facts.externalData as { tensor: string; file: string; offset: number; length: number }[];
  expect(new Set(places.map(({ file }) => file))).toEqual(new Set(["model.safetensors"]));
  expect(places.every(({ offset, length }) => offset > 0 && length > 0)).toBe(true);
  expect(problems).toEqual([]);
  const { stdout } = await succeed(["inspect", join(exported, graph)]);
  expect(stdout).toMatch(/\n {2}external data\n( {4}\S+ +model\.safetensors, from [\d,]+, [\d,]+ bytes\n)+/);
});

it("says it in words too", async () => {
  const { stdout } = await succeed(["inspect", exported]);
  expect(stdout).toMatch(/exported: an export\n {2}architecture +FLASH\n {2}parameters +[\d,]+\n/);
  expect(stdout).toMatch(/\n {2}files\n(.*\n)* {4}model\.safetensors +[\d.]+ kB\n/);
});

it("says what is damaged, and then ends with status 1", { timeout: 120_000 }, async () => {
  const flip = (file: string) => {
    const bytes = readFileSync(file);
    bytes[bytes.length - 9] ^= 1;
    writeFileSync(file, bytes);
  };
  const [export_, run_, adapter] = [at("flipped"), at("flipped-run"), at("flipped.safetensors")];
  cpSync(exported, export_, { recursive: true });
  flip(join(export_, "model.safetensors"));
  rmSync(join(export_, "longhand_model.py"));
  const { facts, problems } = await inspected(export_, 1);
  expect(facts).toMatchObject(model);
  expect(problems).toEqual([
    expect.stringMatching(/longhand_model\.py: it is missing$/),
    expect.stringMatching(/model\.safetensors: it does not match its checksum/),
  ]);
  cpSync(run, run_, { recursive: true });
  flip(join(run_, "checkpoints", "step-00000003", "model.safetensors"));
  expect(await inspected(run_, 1)).toMatchObject({
    facts: { step: 0 },
    problems: [expect.stringContaining("step-00000003")],
  });
  copyFileSync(join(adapted, "adapter.safetensors"), adapter);
  flip(adapter);
  expect(await inspected(adapter, 1)).toMatchObject({
    kind: "adapter",
    problems: [expect.stringContaining("checksum")],
  });
});

it.each<[string, (path: string) => void, RegExp]>([
  ["nothing", () => {}, /nothing: it is missing$/],
  ["a text", (path) => writeFileSync(path, "Call me Ishmael."), /a text: expected a run, .*, got a file of 16 bytes$/],
  ["an empty file", (path) => writeFileSync(path, ""), /got a file of 0 bytes$/],
  ["an empty folder", (path) => mkdirSync(path), /got a folder that holds nothing$/],
  [
    "half an ONNX model",
    (path) => writeFileSync(path, readFileSync(onnx).subarray(0, 60)),
    /no ONNX model, or damaged/,
  ],
  ["other JSON", (path) => writeFileSync(path, '{"a": 1}'), /is not a tokenizer\.json/],
])("says that it does not know %s", async (name, make, sentence) => {
  make(at(name));
  await fail(["inspect", at(name)], 1, sentence);
});
