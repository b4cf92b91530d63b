/**
 * Golden cases: parameters, inputs, outputs and every gradient, computed in float64 by an independent PyTorch
 * implementation of the paper (docs/mathematics.md). FIXTURES names another folder of them, ENGINE another engine.
 * A file of a kind that is not known here fails: nothing is passed over.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { HostArray, HostTensor } from "../../src/base/dtype.ts";
import { decodeSafetensors } from "../../src/checkpoint/safetensors.ts";
import { engineOfEnvironment, openEngine } from "../conformance/engines.ts";
import { compare, expectClose } from "../support/compare.ts";
import { type Arrays, roundingLimit } from "./conditioning.ts";
import { layerProgram, modelPrograms } from "./programs.ts";
import { threeSteps } from "./three-steps.ts";

const folder = process.env.FIXTURES ?? join(import.meta.dirname, "../fixtures");
const engineName = engineOfEnvironment();
const engine = openEngine(engineName);
const interpreter = openEngine("interpreter");
const tolerance = engineName.startsWith("webgpu") ? 1e-3 : 1e-5;
const files = readdirSync(folder)
  .filter((file) => file.endsWith(".safetensors"))
  .sort();

afterAll(() => engine.close());

interface GoldenCase {
  readonly options: Readonly<Record<string, string>>;
  readonly tensors: Readonly<Record<string, HostTensor>>;
}

/** The tensors whose name begins with `prefix`, by the rest of their name. */
function group({ tensors }: GoldenCase, prefix: string): Record<string, HostTensor> {
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

const dataOf = (tensors: Record<string, HostTensor>): Record<string, HostArray> =>
  Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data]));

/** Every golden tensor must have its counterpart, and the other way round. */
function expectNames(actual: Arrays, golden: Record<string, HostTensor>): void {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(golden).sort());
}

function expectAll(actual: Arrays, golden: Record<string, HostTensor>): void {
  expectNames(actual, golden);
  for (const [name, { data, shape }] of Object.entries(golden)) {
    expectClose(actual[name], data, { name, tolerance, shape });
  }
}

/** Below this share of the largest gradient a golden one is zero, and what is stored is the rounding of float64. */
const ZERO = 1e-12;

const normOf = (data: ArrayLike<number>) => Math.hypot(...Array.from(data));

/**
 * As expectAll; a gradient that the stored inputs determine less well is held to what they determine, and named. One that
 * is zero (of a key's bias without rotary positions: it moves all scores of a row alike) is measured by the largest one.
 */
async function expectGradients(
  actual: Arrays,
  golden: Record<string, HostTensor>,
  exact: (inputs: Arrays) => Promise<Arrays>,
  inputs: Arrays,
): Promise<void> {
  expectNames(actual, golden);
  const largest = Math.max(...Object.values(golden).map(({ data }) => normOf(data)));
  for (const [name, { data, shape }] of Object.entries(golden)) {
    if (normOf(data) < ZERO * largest) {
      expect(normOf(actual[name]) / largest, `${name}: zero`).toBeLessThanOrEqual(tolerance);
      continue;
    }
    const { relative } = compare(actual[name], data);
    const limit = relative > tolerance ? await roundingLimit(name, exact, inputs) : tolerance;
    if (limit > tolerance) {
      console.warn(
        `${name}: relative error ${relative.toExponential(2)}; float32 inputs determine it to ${limit.toExponential(2)}`,
      );
    }
    expectClose(actual[name], data, { name, tolerance: Math.max(tolerance, limit), shape });
  }
}

describe(`golden cases of ${folder} on ${engineName}`, () => {
  it("are there", () => expect(files.length).toBeGreaterThan(0));

  it.each(files)("%s", async (file) => {
    const { tensors, metadata } = decodeSafetensors(readFileSync(join(folder, file)), file);
    const golden: GoldenCase = { options: metadata, tensors };
    const parameters = group(golden, "param.");
    const inputs = group(golden, "input.");
    if (golden.options.layer !== undefined) {
      const layer = layerProgram(golden.options, parameters, inputs);
      const values = { ...dataOf(parameters), ...dataOf(inputs) };
      const { y, ...gradients } = await (await engine.compile(layer)).run(values);
      expectAll({ y }, group(golden, "output."));
      const exact = async (moved: Arrays) => (await interpreter.compile(layer)).run(moved);
      await expectGradients(gradients, group(golden, "grad."), exact, values);
      return;
    }
    const programs = modelPrograms(golden.options, parameters, inputs);
    const outputs = group(golden, "output.");
    const after = group(golden, "output.param_after.");
    const forward = await engine.compile(programs.logits);
    const { logits } = await forward.run({ ...dataOf(parameters), tokens: inputs.tokens.data });
    const steps = await threeSteps(engine, programs.training, golden.options, parameters, dataOf(inputs));
    const exact = async (moved: Arrays) => {
      const once = { ...golden.options, steps: "1" };
      const values = Object.entries(parameters).map(([path, tensor]) => [path, { ...tensor, data: moved[path] }]);
      return (await threeSteps(interpreter, programs.training, once, Object.fromEntries(values), dataOf(inputs)))
        .firstGradients;
    };
    await expectGradients(steps.firstGradients, group(golden, "grad.param."), exact, dataOf(parameters));
    expectAll(steps.parameters, after);
    expectAll(
      { logits, loss: steps.losses.slice(0, 1), losses: steps.losses, grad_norms: steps.gradientNorms },
      Object.fromEntries(Object.entries(outputs).filter(([name]) => !name.startsWith("param_after."))),
    );
  });
});
