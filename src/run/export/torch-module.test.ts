/**
 * The PyTorch module of an export against our own engine: every architecture, causal and bidirectional, and every field of
 * a model that presets and ablations set, at lengths from one token to many chunks. Where Python has no PyTorch, the
 * module is compiled alone.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../../test/support/compare.ts";
import { forwardProgram, smallConfig, textOf, V, wildParameters } from "../../../test/support/decoding.ts";
import { python, pythonWithTorch, runTorch, withoutTorch } from "../../../test/support/python.ts";
import type { HostTensor } from "../../base/dtype.ts";
import { encodeSafetensors } from "../../checkpoint/safetensors.ts";
import type { ModelConfig } from "../../models/architecture.ts";
import { parseModelConfig } from "../../models/config.ts";
import { languageModel, parametersOf } from "../../models/language-model.ts";
import { presetModel } from "../../models/presets.ts";
import { architectureByName, architectureNames } from "../../models/registry.ts";
import { initialise } from "../../nn/scope.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";
import { initialOptimizerState } from "../../train/optimizer.ts";
import { createTrainStep } from "../../train/step.ts";
import { TORCH_MODULE, torchModule } from "./torch-module.ts";

const folder = mkdtempSync(join(tmpdir(), "longhand-torch-"));
const engine = ortNodeEngine({ threads: 2 });
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await engine.close();
});

interface Case {
  readonly config: ModelConfig;
  readonly lengths: readonly number[];
  readonly parameters?: Record<string, Float32Array>;
}

/** The last is many chunks. */
const lengths = [1, 63, 257];
const cases: Record<string, Case> = {};

const sizes = { maxLength: 300 };
const flashVariants: readonly object[] = [
  ...["mean", "decay", "learned", "gated"].map((memory) => ({ memory, halfLives: [2, 40] })),
  ...["local", "global"].map((attention) => ({ attention })),
  ...["softmax", "laplace"].map((attentionFunction) => ({ attentionFunction })),
  { gate: false, expansion: 3, tokenShift: true, norm: "layer", absolute: false },
  { rotaryWidth: 2, finalNorm: "layer", head: "own" },
];
for (const causal of [true, false]) {
  const where = causal ? "causal" : "bidirectional";
  for (const name of architectureNames()) {
    const config = smallConfig(name, { causal, ...(name === "flash-quad" ? sizes : {}) });
    cases[`${name}, ${where}`] = { config, lengths };
  }
  for (const fields of flashVariants) {
    const config = smallConfig("flash", { causal, ...fields });
    cases[`flash ${JSON.stringify(fields)}, ${where}`] = { config, lengths };
  }
  const learned = { memory: "learned", halfLives: [2, 40], head: "own" };
  cases[`mc-tfm++, learned, ${where}`] = { config: smallConfig("mc-tfm++", { causal, ...learned }), lengths };
  const quad = { causal, ...sizes, attentionFunction: "softmax", tokenShift: true };
  cases[`flash-quad, softmax, ${where}`] = { config: smallConfig("flash-quad", quad), lengths };
  // From 512 positions on the relative bias is rotary.
  const rotary = { config: smallConfig("flash-quad", { causal, maxLength: 600 }), lengths: [70] };
  cases[`flash-quad, rotary bias, ${where}`] = rotary;
  const chunked = { config: smallConfig("flash", { causal, chunk: 512 }), lengths: [5, 1100] };
  cases[`flash, rotary bias, ${where}`] = chunked;
}
for (const name of architectureNames()) {
  const preset = presetModel(name, "nano", { context: 300 });
  cases[`${name}, preset nano`] = { config: parseModelConfig({ ...preset, vocabSize: V }), lengths: [257] };
}

async function trained(): Promise<Case> {
  const config = parseModelConfig({ ...presetModel("flash", "nano", { context: 128 }), vocabSize: V });
  const values = initialise(parametersOf(config), 1);
  const step = await createTrainStep(engine, (scope, t) => languageModel(scope, t, config), { batch: 1, context: 128 });
  const state = initialOptimizerState(values);
  const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, clip: 1 };
  const text = textOf(129);
  const batches = [{ tokens: text.slice(0, 128), targets: text.slice(1) }];
  for (let update = 1; update <= 20; update++) {
    const inputs = { parameters: values, state, batches, learningRate: 1e-2, update, config: optimizer };
    expect((await step.run(inputs)).applied).toBe(true);
  }
  await step.release();
  const parameters = Object.entries(values).map(([path, { data }]) => [path, data as Float32Array]);
  return { config, lengths: [257], parameters: Object.fromEntries(parameters) };
}

const parametersFor = ({ config, parameters }: Case) => parameters ?? wildParameters(config);
const folderOf = (name: string) => join(folder, String(Object.keys(cases).indexOf(name)));

function writeExport(name: string, one: Case): void {
  const values = parametersFor(one);
  const tensors = parametersOf(one.config).map(({ path, shape }): [string, HostTensor] => {
    return [path, { dtype: "float32", shape, data: values[path] }];
  });
  const own = folderOf(name);
  mkdirSync(own);
  writeFileSync(join(own, "config.json"), JSON.stringify({ format: "longhand-export", model: one.config }));
  writeFileSync(join(own, "model.safetensors"), Buffer.concat(encodeSafetensors(Object.fromEntries(tensors))));
  writeFileSync(join(own, TORCH_MODULE), torchModule());
  writeFileSync(join(own, "tokens.json"), JSON.stringify(one.lengths.map((length) => [[...textOf(length)]])));
}

describe.skipIf(pythonWithTorch === undefined)(`the PyTorch module gives our engine's logits${withoutTorch}`, () => {
  beforeAll(async () => {
    cases.trained = await trained();
    for (const [name, one] of Object.entries(cases)) writeExport(name, one);
    const script = join(import.meta.dirname, "../../../test/support/torch-logits.py");
    await runTorch([script, ...Object.keys(cases).map(folderOf)]);
  }, 240_000);

  it.each([...Object.keys(cases), "trained"])("%s", async (name) => {
    const one = cases[name];
    for (const [i, length] of one.lengths.entries()) {
      const forward = await engine.compile(forwardProgram(one.config, length));
      const { logits } = await forward.run({ ...parametersFor(one), tokens: textOf(length) });
      await forward.release();
      const bytes = readFileSync(join(folderOf(name), `logits-${i}.bin`));
      const torch = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
      expectClose(torch, logits as Float32Array, { name: `${length} tokens`, tolerance: 1e-5, shape: [length, V] });
    }
  });
});

describe.skipIf(python === undefined)("the PyTorch module", () => {
  it("compiles", () => {
    const check = "import ast, sys; ast.parse(sys.stdin.read())";
    execFileSync(python as string, ["-c", check], { input: torchModule() });
  });

  it("knows every field of every architecture", () => {
    const program =
      "import ast, json, sys\nprint(json.dumps([n.value for n in ast.walk(ast.parse(sys.stdin.read())) if isinstance(n, ast.Constant) and isinstance(n.value, str)]))";
    const words = new Set(
      JSON.parse(execFileSync(python as string, ["-c", program], { input: torchModule() }).toString()),
    );
    for (const name of architectureNames()) {
      for (const field of Object.keys(architectureByName(name).fields))
        expect(words, `${name}: ${field}`).toContain(field);
    }
  });
});
