/**
 * Run by recompute.test.ts in a process of its own: one training step whose layers are kept, computed again, or computed
 * again from values that do not wait for the gradient; prints the peak memory of the step, measured and estimated, and its loss.
 */
import { readFileSync } from "node:fs";
import { gradients } from "../../src/graph/gradients.ts";
import { recomputed } from "../../src/graph/recompute.ts";
import { type Tensor, withGradient } from "../../src/graph/tensor.ts";
import { silu } from "../../src/nn/activations.ts";
import { linear } from "../../src/nn/linear.ts";
import { norm } from "../../src/nn/norm.ts";
import { initialise, type Scope } from "../../src/nn/scope.ts";
import { ortNodeEngine } from "../../src/runtime/ort-node.ts";
import { programMemory } from "../../src/runtime/program-memory.ts";
import { trainingProgram } from "../../src/train/objective.ts";

const [way] = process.argv.slice(2);
const [layers, width, hidden, context] = [8, 64, 1024, 4096];

const layer = (scope: Scope, x: Tensor) =>
  x.add(linear(scope.at("down"), silu(linear(scope.at("up"), norm(scope.at("norm"), x, "scale"), hidden)), width));

/** As recomputed, but from the inputs themselves: what the runtime merges with the first computation. */
function recomputedAtOnce(scope: Scope, x: Tensor): Tensor {
  const y = layer(scope, x);
  const own = ["norm.gain", "up.weight", "up.bias", "down.weight", "down.bias"].map((name) => `${scope.path}.${name}`);
  const leaves = [x, ...scope.parameters.filter(({ path }) => own.includes(path)).map(({ tensor }) => tensor)];
  return withGradient(y, leaves, (g) => gradients(layer(scope, x), leaves, g));
}

const apply: Record<string, (scope: Scope, x: Tensor) => Tensor> = {
  kept: layer,
  again: (scope, x) => recomputed([x], ([own]) => layer(scope, own)),
  unguarded: recomputedAtOnce,
};

const training = trainingProgram(
  (scope, tokens) => {
    const table = scope.parameter("table", [128, width], { normal: 0.1 });
    let x = scope.rows("table", table, tokens);
    for (let i = 0; i < layers; i++) x = apply[way](scope.at(i), x);
    return { finalStates: x, table, bias: scope.parameter("bias", [128], { constant: 0 }) };
  },
  { batch: 1, context },
);
const peak = () => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024;

const engine = ortNodeEngine({ threads: 1 });
const compiled = await engine.compile(training.program);
const parameters = Object.entries(initialise(training.parameters, 1)).map(([path, { data }]) => [path, data]);
const tokens = Int32Array.from({ length: context }, (_, i) => (i * 31) % 128);
const before = peak();
const { loss } = await compiled.run({ ...Object.fromEntries(parameters), tokens, targets: tokens.map((t) => 127 - t) });
const { peakBytes } = programMemory(training.program);
console.log(JSON.stringify({ loss: loss[0], megabytes: peak() - before, estimated: peakBytes / 2 ** 20 }));
await engine.close();
