/** Exports as the programs use them for which they are made: what the README says runs, and every reader has the same model. */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root, runTypeScript } from "../../../test/cli/command.ts";
import { expectClose } from "../../../test/support/compare.ts";
import { forwardProgram } from "../../../test/support/decoding.ts";
import { python, pythonWithOnnx, pythonWithTorch, runTorch, withoutTorch } from "../../../test/support/python.ts";
import { weightFormats } from "../../config/export-settings.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";
import { train } from "../train/train.ts";
import { evaluate, evaluateMasked } from "../use/evaluate.ts";
import { loadModel } from "../use/model.ts";
import { readTrained } from "../use/trained.ts";
import { exportModel } from "./export.ts";

const folder = mkdtempSync(join(tmpdir(), "longhand-export-"));
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  const data = at("text.txt");
  writeFileSync(data, Array.from({ length: 600 }, (_, i) => `Line ${i} of ${(i * 7919) % 1009}.\n`).join(""));
  const size = { "model.layers": 1, "model.width": 40, "model.shared": 16 };
  const small = { context: 64, chunk: 16, batch: 2, vocab: 300, steps: 2, threads: 1 };
  for (const objective of ["causal", "masked"] as const)
    await train({ data, out: at(objective), ...small, objective }, { overrides: size });
  for (const weights of weightFormats) await exportModel(at("causal"), { out: at(weights), weights });
  await exportModel(at("masked"), { out: at("filling") });
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("reads from a float32 export what the run has", async () => {
  const [run, exported] = await Promise.all([at("causal"), at("float32")].map((path) => readTrained(path)));
  expect(exported.config).toEqual(run.config);
  expect(exported.parameters).toEqual({ ...run.parameters });
  expect([exported.step, exported.tokenizer.digest]).toEqual([2, run.tokenizer.digest]);
  expect(exported.bytesPerToken).toBe(run.bytesPerToken);
});

it("exports a narrow export as float32 with the same parameters, and as itself with the same bytes", async () => {
  for (const weights of ["float16", "int8"] as const) {
    await exportModel(at(weights), { out: at("wide"), weights: "float32", overwrite: true });
    expect((await readTrained(at("wide"))).parameters).toEqual((await readTrained(at(weights))).parameters);
    await exportModel(at(weights), { out: at("same"), weights, overwrite: true });
    const bytes = [weights, "same"].map((name) => readFileSync(join(at(name), "model.safetensors")));
    expect(bytes[0].equals(bytes[1]), weights).toBe(true);
  }
});

it.each(["causal", "masked"])(
  "measures every format of a %s model on a text: sizes, and losses within bounds",
  async (run) => {
    const done: number[] = [];
    const onProgress = (share: number) => void done.push(share);
    const result = await exportModel(at(run), { out: at(`measured-${run}`), data: at("text.txt"), onProgress });
    const formats = result.formats ?? [];
    expect(formats.map(({ weights }) => weights)).toEqual(weightFormats);
    const [whole, half, quarter] = formats;
    expect(whole.bytes).toBe(Object.values(result.files).reduce((sum, bytes) => sum + bytes, 0));
    expect(half.bytes).toBeLessThan(whole.bytes);
    expect(quarter.bytes).toBeLessThan(half.bytes);
    for (const { loss, perplexity } of formats) expect(perplexity).toBeCloseTo(Math.exp(loss), 6);
    expect(Math.abs(half.loss - whole.loss)).toBeLessThan(1e-3);
    expect(Math.abs(quarter.loss - whole.loss)).toBeLessThan(1e-2);
    expect(done.at(-1)).toBeCloseTo(1, 2);
    const model = await loadModel(at(run), { threads: 1 });
    const measured = await (run === "causal" ? evaluate : evaluateMasked)(model, { data: at("text.txt") });
    expect(whole.loss).toBe(measured.loss);
    await model.close();
  },
);

it("leaves nothing where the text cannot be measured", async () => {
  const options = { out: at("unmeasured"), data: at("nothing.txt") };
  await expect(exportModel(at("causal"), options)).rejects.toThrow(/nothing\.txt/);
  expect(existsSync(at("unmeasured"))).toBe(false);
});

/** What stands in a section of the README, without its fence or indentation. */
function fromReadme(name: string, heading: string, language: string): string {
  const section = readFileSync(join(at(name), "README.md"), "utf8")
    .split("\n## ")
    .find((part) => part.startsWith(heading));
  return new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(section ?? "")?.[1] ?? "";
}

describe.each([
  ["float32", /^It was/],
  ["filling", /It was a.* night\./],
] as const)("the README of %s", (name, expected) => {
  it("has a command that runs", async () => {
    const [, command] = /\n {4}longhand (.*)\n/.exec(readFileSync(join(at(name), "README.md"), "utf8")) ?? [];
    const args = command.split(/ (?=(?:[^"]*"[^"]*")*[^"]*$)/).map((part) => part.replaceAll('"', ""));
    const bin = join(root, "bin", "longhand.js");
    const { stdout } = await promisify(execFile)(process.execPath, [bin, ...args], { cwd: at(name) });
    expect(stdout).toMatch(expected);
  });

  it("has ten lines for Node that run", async () => {
    const program = fromReadme(name, "Longhand", "js");
    expect(program.trimEnd().split("\n").length).toBeLessThanOrEqual(10);
    // The package by its own name is found from a file inside it.
    const file = join(root, "dist", `readme-${process.pid}.mts`);
    writeFileSync(file, program.replace('loadModel(".")', `loadModel(${JSON.stringify(at(name))})`));
    const { stdout } = await runTypeScript(file).finally(() => rmSync(file));
    if (name === "filling") expect(stdout).toMatch(expected);
    else expect(stdout.length).toBeGreaterThan(50);
  });

  it("has lines for ONNX in Node that run", async () => {
    const program = fromReadme(name, "ONNX in Node", "js");
    expect(program.trimEnd().split("\n").length).toBeLessThanOrEqual(14);
    const file = join(root, "dist", `readme-onnx-${process.pid}.mjs`); // from where the packages are found
    writeFileSync(file, program);
    const run = promisify(execFile)(process.execPath, [file], { cwd: at(name) });
    const { stdout } = await run.finally(() => rmSync(file));
    if (name === "filling") expect(stdout.trim().length).toBeGreaterThan(0);
    else expect(stdout).toMatch(expected);
  });

  it("has lines for ONNX on the web that are JavaScript", () => {
    const program = fromReadme(name, "ONNX on the web", "js");
    execFileSync(process.execPath, ["--check", "--input-type=module"], { input: program, stdio: "pipe" });
  });

  it.skipIf(python === undefined)("has lines for ONNX in Python that run where onnxruntime is installed", async () => {
    const program = fromReadme(name, "ONNX in Python", "python");
    expect(program.trimEnd().split("\n").length).toBeLessThanOrEqual(14);
    if (pythonWithOnnx === undefined) {
      execFileSync(python as string, ["-c", "import ast, sys; ast.parse(sys.stdin.read())"], { input: program });
      return;
    }
    const { stdout } = await promisify(execFile)(pythonWithOnnx, ["-B", "-c", program], { cwd: at(name) });
    if (name === "filling") expect(stdout.trim().length).toBeGreaterThan(0);
    else expect(stdout).toMatch(expected);
  });

  it.skipIf(pythonWithTorch === undefined)(`has ten lines for PyTorch that run${withoutTorch}`, async () => {
    const program = fromReadme(name, "Python, with PyTorch", "python");
    expect(program.trimEnd().split("\n").length).toBeLessThanOrEqual(10);
    const path = [at(name), ...(hasTokenizers() ? [] : [standIn()])].join(":");
    const { stdout } = await promisify(execFile)(pythonWithTorch as string, ["-B", "-c", program], {
      cwd: at(name),
      env: { ...process.env, PYTHONPATH: path },
    });
    if (name === "filling") expect(stdout.trim().length).toBeGreaterThan(0);
    else expect(stdout).toMatch(expected);
  });
});

function hasTokenizers(): boolean {
  try {
    execFileSync(pythonWithTorch as string, ["-c", "import tokenizers"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** In place of Python's `tokenizers`, where it is not installed: knows the bytes of ASCII and the special tokens only. */
function standIn(): string {
  const module = `
import json

class Tokenizer:
    @staticmethod
    def from_file(path):
        own = Tokenizer()
        with open(path, encoding="utf-8") as file:
            own.vocab = json.load(file)["model"]["vocab"]
        own.names = {id: name.replace("Ġ", " ").replace("Ċ", chr(10)) for name, id in own.vocab.items()}
        return own

    def token_to_id(self, name):
        return self.vocab[name]

    def encode(self, text):
        parts = text.split("[MASK]")
        self.ids = [self.vocab[c.replace(" ", "Ġ")] for c in parts[0]]
        for part in parts[1:]:
            self.ids += [self.vocab["[MASK]"]] + [self.vocab[c.replace(" ", "Ġ")] for c in part]
        return self

    def decode(self, ids):
        return "".join(self.names[id] for id in ids)
`;
  const place = at("tokenizers.py");
  if (!existsSync(place)) writeFileSync(place, module);
  return folder;
}

describe.skipIf(pythonWithTorch === undefined)(`the PyTorch module${withoutTorch}`, () => {
  it("gives our logits of every format of weights", async () => {
    const tokens = Int32Array.from({ length: 40 }, (_, i) => (i * 7) % 200);
    for (const format of weightFormats) writeFileSync(join(at(format), "tokens.json"), JSON.stringify([[[...tokens]]]));
    await runTorch([join(root, "test/support/torch-logits.py"), ...weightFormats.map(at)]);
    const engine = ortNodeEngine({ threads: 1 });
    for (const format of weightFormats) {
      const { config, parameters } = await readTrained(at(format));
      const forward = await engine.compile(forwardProgram(config.model, tokens.length));
      const arrays = Object.fromEntries(Object.entries(parameters).map(([path, { data }]) => [path, data]));
      const { logits } = await forward.run({ ...arrays, tokens });
      const bytes = readFileSync(join(at(format), "logits-0.bin"));
      const torch = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
      const shape = [tokens.length, config.model.vocabSize];
      expectClose(torch, logits as Float32Array, { name: format, tolerance: 1e-5, shape });
    }
    await engine.close();
  });
});
