/** A layer under test: the graph of it and of all its gradients, random values to run it on, and what padding is asked for. */
import { randomKey, randomNormals } from "../../src/base/random.ts";
import { sizeOf } from "../../src/base/shape.ts";
import { gradients } from "../../src/graph/gradients.ts";
import { type Program, program, verify } from "../../src/graph/program.ts";
import { input, type Tensor } from "../../src/graph/tensor.ts";
import type { Scope } from "../../src/nn/scope.ts";

/** Normal numbers that follow from a name and a length. */
export function random(name: string, T: number, size: number, scale: number): Float32Array {
  return randomNormals(randomKey(7, `${name} ${T}`), size, scale);
}

/** Output y, and for x and each parameter "d NAME", the gradient of y against the input "cotangent", of y's shape. */
export function withGradients(scope: Scope, x: Tensor, y: Tensor): Program {
  const wrt = { x, ...Object.fromEntries(scope.parameters.map(({ path, tensor }) => [path, tensor])) };
  const found = gradients(y, Object.values(wrt), input("cotangent", y.shape));
  const named = Object.fromEntries(Object.keys(wrt).map((name, i) => [`d ${name}`, found[i]]));
  const graph = program("layer", { y, ...named });
  verify(graph);
  return graph;
}

/** Values of x [B, T, d] and of every parameter, which lie around what it begins with, `scale` apart. */
export function randomValues(scope: Scope, x: Tensor, scale = 0.4): Record<string, Float32Array> {
  const T = x.shape[1];
  const values: Record<string, Float32Array> = { x: random("x", T, x.size, 1) };
  for (const { path, shape, initial } of scope.parameters) {
    const centre = "constant" in initial ? initial.constant : 0;
    values[path] = random(path, T, sizeOf(shape), scale).map((value) => value + centre);
  }
  return values;
}

/** Rows of width d, those of padding zero: nothing is asked of them. */
export function ofRealTokens<A extends Float32Array | Float64Array>(
  rows: A,
  mask: Float32Array | undefined,
  d: number,
): A {
  return rows.map((value, at) => (mask === undefined || mask[Math.floor(at / d)] === 1 ? value : 0)) as A;
}

/** Values one after the other. */
export function joined(parts: readonly Float64Array[]): Float64Array {
  const whole = new Float64Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
