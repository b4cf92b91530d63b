/**
 * Gradients against central differences, both in float64 through the interpreter: the loss is the outputs weighted by
 * random cotangents, and every element of every float32 input is moved both ways. Keep away from kinks.
 */
import type { HostTensor } from "../../src/base/dtype.ts";
import { randomKey, randomNormals } from "../../src/base/random.ts";
import { sameShape } from "../../src/base/shape.ts";
import { gradients } from "../../src/graph/gradients.ts";
import { program, verify } from "../../src/graph/program.ts";
import { input, scalar, type Tensor } from "../../src/graph/tensor.ts";
import { interpret } from "../reference/interpreter.ts";
import { expectClose } from "./compare.ts";

export type Tensors = Readonly<Record<string, Tensor>>;

/** A piece of graph and values to try it on. */
export interface TestFunction {
  readonly name: string;
  readonly inputs: Readonly<Record<string, HostTensor>>;
  build(x: Tensors): readonly Tensor[];
}

export function inputTensors(inputs: TestFunction["inputs"]): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, dtype }]) => [name, input(name, shape, dtype)]),
  );
}

/** The sum over all float32 outputs of output * random cotangent, as a scalar; and the cotangents to feed. */
export function weightedSum(outputs: readonly Tensor[]): { loss: Tensor; cotangents: Record<string, Float32Array> } {
  const cotangents: Record<string, Float32Array> = {};
  let loss = scalar(0);
  for (const [k, y] of outputs.entries()) {
    if (y.dtype !== "float32") continue;
    const name = `cotangent${k}`;
    cotangents[name] = randomNormals(randomKey(3, name), y.size);
    const weighted = y.mul(input(name, y.shape));
    loss = loss.add(weighted.sum(y.shape.map((_, axis) => axis)).reshape([]));
  }
  return { loss, cotangents };
}

const STEP = 1e-5;

export function expectGradients({ name, inputs, build }: TestFunction, tolerance = 1e-6): void {
  const x = inputTensors(inputs);
  const { loss, cotangents } = weightedSum(build(x));
  const names = Object.keys(inputs).filter((key) => inputs[key].dtype === "float32");
  const found = gradients(
    loss,
    names.map((key) => x[key]),
  );
  const forward = program(name, { loss });
  const backward = program(`${name} gradients`, Object.fromEntries(names.map((key, i) => [key, found[i]])));
  verify(forward);
  verify(backward);

  const data: Record<string, ArrayLike<number>> = { ...cotangents };
  for (const [key, { data: values }] of Object.entries(inputs)) data[key] = Float64Array.from(values);
  const used = (graph: typeof forward) =>
    Object.fromEntries(Object.entries(data).filter(([key]) => graph.inputs.has(key)));
  const analytic = interpret(backward, used(backward));
  for (const key of names) {
    const { shape } = inputs[key];
    if (!sameShape(analytic[key].shape, shape)) throw new Error(`${name}: gradient of ${key} has another shape`);
    const moved = Float64Array.from(inputs[key].data);
    data[key] = moved;
    const numeric = moved.map((value, i) => {
      const at = (v: number) => {
        moved[i] = v;
        return interpret(forward, used(forward)).loss.data[0];
      };
      const slope = (at(value + STEP) - at(value - STEP)) / (2 * STEP);
      moved[i] = value;
      return slope;
    });
    expectClose(analytic[key].data, numeric, { name: `${name}: gradient of ${key}`, tolerance, shape });
  }
}
