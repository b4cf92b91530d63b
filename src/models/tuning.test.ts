/** Models of which a part is trained: what gradients there are, that they are right, and that steps leave the rest alone. */
import { afterAll, describe, expect, it } from "vitest";
import { openEngine, testedEngines } from "../../test/conformance/engines.ts";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { smallModel } from "../../test/support/small-model.ts";
import type { HostTensor } from "../base/dtype.ts";
import { randomKey, randomNormals } from "../base/random.ts";
import { gradients } from "../graph/gradients.ts";
import { type Program, program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { initialise, type Parameter, Scope, type Tuning } from "../nn/scope.ts";
import { evaluationProgram, gradientName, trainedOf, trainingProgram } from "../train/objective.ts";
import { initialOptimizerState } from "../train/optimizer.ts";
import { type OptimizerConfig, rulesOf } from "../train/optimizer-config.ts";
import { createTrainStep } from "../train/step.ts";
import type { ModelParameters } from "../train/training-step.ts";
import { withAdapters } from "./adapters.ts";
import { modelOf, parametersOf } from "./language-model.ts";
import { architectureNames } from "./registry.ts";
import { freezeProblem, tuningOf } from "./tuning.ts";

const [batch, context, vocabSize] = [2, 35, 24];
const shape = { batch, context };
const adapter = { rank: 3, alpha: 6 };
const tokens = Int32Array.from({ length: batch * context }, (_, i) => (7 * i * i + 3 * i) % vocabSize);
const targets = Int32Array.from({ length: batch * context }, (_, i) => (5 * i * i + i + 1) % vocabSize);
/** With a head of its own, or tied. */
const small = (architecture: string) =>
  ({
    ...smallModel(architecture, { context, vocabSize, causal: true }),
    head: architecture.startsWith("flash") ? "own" : "tied",
  }) as const;
const flash = small("flash");

/** Adapters and a head that do something: B and the head are zero at first. */
function valuesOf(parameters: ReturnType<typeof parametersOf>): Record<string, HostTensor> {
  const values = initialise(parameters, 1);
  for (const [path, { data }] of Object.entries(values)) {
    if (path.endsWith(".adapter.b") || path === "logits.weight")
      data.set(randomNormals(randomKey(2, path), data.length, 0.1));
  }
  return values;
}

type Values = Readonly<Record<string, HostTensor>>;

/** What a program makes of parameters, those that it has no input for left out. */
function run(program: Program, values: Values, moved: Record<string, Float64Array> = {}) {
  const data = Object.fromEntries(Object.entries(values).map(([path, { data }]) => [path, data]));
  const weights = new Float32Array(batch * context).fill(1 / (batch * context));
  const given = Object.entries({ ...data, ...moved, tokens, targets, weights });
  return interpret(program, Object.fromEntries(given.filter(([name]) => program.inputs.has(name))));
}

const gradientsIn = (program: Program) => [...program.outputs.keys()].filter((name) => name.startsWith("gradient."));
const namesOf = (declared: readonly Parameter[]) => trainedOf(declared).map(({ path }) => gradientName(path));

describe.each(architectureNames())("adapters of %s", (architecture) => {
  const config = small(architecture);
  const tuning = { adapter };
  const declared = parametersOf(config, tuning);
  const values = valuesOf(declared);
  const lossOf = (tuning: Tuning) => evaluationProgram(modelOf(config, { tuning }), shape).program;
  const [plain, adapted] = [lossOf({}), lossOf(tuning)];
  const [loss, lossWith] = [plain, adapted].map(
    (program) => (own: Values, moved?: Record<string, Float64Array>) => run(program, own, moved).loss.data[0],
  );

  it("change nothing at first", () => {
    const first = Object.entries(values).map(([path, tensor]): [string, HostTensor] => {
      const { data } = initialise(declared, 1)[path];
      return [path, path.endsWith(".adapter.b") ? { ...tensor, data } : tensor];
    });
    expect(lossWith(Object.fromEntries(first))).toBe(loss(values));
  });

  it("are the model with their products in its maps", () => {
    const base = Object.fromEntries(Object.entries(values).filter(([path]) => !path.includes(".adapter.")));
    const merged = withAdapters(base, [{ config: adapter, tensors: values }]);
    expect(Math.abs(lossWith(values) / loss(merged) - 1)).toBeLessThan(1e-7);
    expect(Math.abs(loss(base) / loss(merged) - 1)).toBeGreaterThan(1e-5);
  });

  /** The slope of the loss along a random direction of one parameter, by central differences. */
  const slopeOf = (path: string) => {
    const { data } = values[path];
    const direction = randomNormals(randomKey(4, path), data.length);
    const moved = (by: number) => ({ [path]: Float64Array.from(data, (value, i) => value + by * direction[i]) });
    const numeric = (lossWith(values, moved(1e-5)) - lossWith(values, moved(-1e-5))) / 2e-5;
    return { path, direction, numeric };
  };
  let slopes: ReturnType<typeof slopeOf>[] | undefined; // the same, recomputing or not

  it.each(["none", "layers"] as const)("have the gradients of A and B alone, recomputing %s", (recompute) => {
    const { program, sparse } = trainingProgram(modelOf(config, { tuning, recompute }), shape);
    expect(gradientsIn(program).sort()).toEqual(namesOf(declared).sort());
    expect(gradientsIn(program).every((name) => /\.adapter\.[ab]$/.test(name))).toBe(true);
    expect(sparse).toEqual([]);
    const found = run(program, values);
    slopes ??= trainedOf(declared).map(({ path }) => slopeOf(path));
    for (const { path, direction, numeric } of slopes) {
      const analytic = found[gradientName(path)].data.reduce((sum, g, i) => sum + g * direction[i], 0);
      expectClose([analytic], [numeric], { name: `gradient of ${path}`, tolerance: 1e-5 });
    }
  });

  it("cost no gradient of what is frozen, and what is left has the gradient that it had", () => {
    const frozen = tuningOf({ freeze: ["embedding", "layers.0"] });
    const own = parametersOf(config, frozen);
    const part = trainingProgram(modelOf(config, { tuning: frozen }), shape);
    const whole = trainingProgram(modelOf(config), shape);
    expect(gradientsIn(part.program).sort()).toEqual(namesOf(own).sort());
    expect(namesOf(own).some((name) => /layers\.0\.|embedding/.test(name))).toBe(false);
    expect(part.sparse).toEqual([]);
    expect(part.program.nodes.length).toBeLessThan(whole.program.nodes.length);
    const [some, all] = [part, whole].map(({ program }) => run(program, values));
    for (const name of gradientsIn(part.program)) expectClose(some[name].data, all[name].data, { name, tolerance: 0 });
  });
});

it("adapts a map that a layer of one's own multiplies with by itself", () => {
  const scope = new Scope({ tuning: { adapter } });
  const x = input("x", [4, 5]);
  const w = scope.parameter("w", [5, 6], { normal: 1 }, { map: [6] });
  expect(scope.parameter("w", [5, 6], { normal: 1 }, { map: [6] })).toBe(w); // asked for again, as by another form
  const paths = scope.parameters.map(({ path }) => path);
  expect(paths).toEqual(["w", "w.adapter.a", "w.adapter.b"]);
  const loss = x.matmul(w).mul(x.matmul(w)).sum([0, 1]).reshape([]);
  const own = scope.parameters.slice(1);
  const found = program(
    "gradients",
    Object.fromEntries(
      gradients(
        loss,
        own.map(({ tensor }) => tensor),
      ).map((g, i) => [own[i].path, g]),
    ),
  );
  const given: HostTensor = { dtype: "float32", shape: [4, 5], data: randomNormals(randomKey(9, "x"), 20) };
  const values: Values = { ...valuesOf(scope.parameters), x: given };
  const at = (moved: Record<string, Float64Array>) => run(program("loss", { loss }), values, moved).loss.data[0];
  const analytic = run(found, values);
  for (const { path } of own) {
    const { data } = values[path];
    const slopes = Array.from(data, (_, i) => {
      const moved = (by: number) => ({ [path]: Float64Array.from(data, (value, k) => (k === i ? value + by : value)) });
      return (at(moved(1e-5)) - at(moved(-1e-5))) / 2e-5;
    });
    expectClose(analytic[path].data, slopes, { name: path, tolerance: 1e-6 });
  }
});

it("has the gradients of a head's adapter from logits in several slices", async () => {
  const shape = { batch: 1, context: 1024 };
  const config = {
    ...smallModel("flash", { context: 1024, vocabSize: 9000, causal: true }),
    layers: 1,
    head: "own",
  } as const;
  const values = valuesOf(parametersOf(config, { adapter }));
  const base = Object.fromEntries(Object.entries(values).filter(([path]) => !path.includes(".adapter.")));
  const merged = withAdapters(base, [{ config: adapter, tensors: values }]);
  const ids = (step: number) => Int32Array.from({ length: 1024 }, (_, i) => (step * i * i + i) % 9000);
  const engine = openEngine("cpu");
  const results = async (tuning: Tuning, own: Values) => {
    const { program } = trainingProgram(modelOf(config, { tuning }), shape);
    const compiled = await engine.compile(program);
    const data = Object.fromEntries(Object.entries(own).map(([path, { data }]) => [path, data]));
    const found = await compiled.run({ ...data, tokens: ids(7), targets: ids(5) });
    return Object.fromEntries(Object.entries(found).map(([name, array]) => [name, Float64Array.from(array)]));
  };
  const [adapted, plain] = [await results({ adapter }, values), await results({}, merged)];
  await engine.close();
  const { width } = config;
  const G = plain["gradient.logits.weight"]; // [V, d]
  const [a, b] = ["a", "b"].map((name) => values[`logits.weight.adapter.${name}`].data);
  const { rank, alpha } = adapter;
  const [dA, dB] = [new Float64Array(9000 * rank), new Float64Array(rank * width)];
  for (let v = 0; v < 9000; v++) {
    for (let k = 0; k < rank; k++) {
      for (let j = 0; j < width; j++) {
        dA[v * rank + k] += (alpha / rank) * G[v * width + j] * b[k * width + j];
        dB[k * width + j] += (alpha / rank) * a[v * rank + k] * G[v * width + j];
      }
    }
  }
  expectClose(adapted["gradient.logits.weight.adapter.a"], dA, { name: "a", tolerance: 1e-4 });
  expectClose(adapted["gradient.logits.weight.adapter.b"], dB, { name: "b", tolerance: 1e-4 });
});

it("computes nothing of a frozen head, however many slices its logits come in", () => {
  const config = smallModel("flash", { context: 1024, vocabSize: 20_000, causal: true });
  const sizes = [["logits"], undefined].map((freeze) => {
    const { program } = trainingProgram(modelOf({ ...config, head: "own" }, { tuning: tuningOf({ freeze }) }), {
      batch: 1,
      context: 1024,
    });
    const gradientOfTable = `${config.width},${config.vocabSize}`;
    return program.nodes.filter(({ outputs }) => `${outputs[0]?.shape}` === gradientOfTable).length;
  });
  expect(sizes[0]).toBe(1); // the table, transposed
  expect(sizes[1]).toBeGreaterThan(3);
});

describe("steps of a part", () => {
  const opened = testedEngines.map((name) => ({ name, engine: openEngine(name) }));
  afterAll(async () => {
    for (const { engine } of opened) await engine.close();
  });
  const tunings: [string, Tuning][] = [
    ["an adapter", { adapter }],
    ["all but the lower half", tuningOf({ freeze: ["embedding", "layers.0-1"] })],
  ];
  const optimizers = ["adamw", "muon"] as const;
  const cases = opened.flatMap(({ name, engine }) =>
    tunings.flatMap(([what, tuning]) => optimizers.map((optimizer) => ({ name, engine, what, tuning, optimizer }))),
  );

  it.each(cases)("$what, $optimizer, $name: host and device agree, and nothing else moves", async (of) => {
    const { engine, tuning } = of;
    const declared = parametersOf(flash, tuning);
    const trained = trainedOf(declared);
    const config: OptimizerConfig = {
      ...{ name: of.optimizer, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, clip: 1, ema: 0.9 },
      decayed: "maps",
    };
    const results = [];
    for (const onDevice of [false, true]) {
      const parameters = valuesOf(declared);
      const changing = Object.fromEntries(trained.map(({ path }) => [path, parameters[path]]));
      const state = initialOptimizerState(changing, rulesOf(trained, config), config.ema);
      expect(Object.keys(state.m)).toEqual(trained.map(({ path }) => path));
      const step = await createTrainStep(engine, modelOf(flash, { tuning }), shape, { onDevice });
      const batches = [
        { tokens, targets },
        { tokens: targets, targets: tokens },
      ];
      const losses: number[] = [];
      for (let update = 1; update <= 3; update++) {
        losses.push((await step.run({ parameters, state, batches, learningRate: 0.01, update, config })).loss);
      }
      const averaged = await readAll(step.current(parameters));
      await step.toHost();
      await step.release();
      results.push({ losses, parameters, state, averaged });
    }
    const [host, device] = results;
    expectClose(device.losses, host.losses, { name: "losses", tolerance: 1e-5 });
    const before = valuesOf(declared);
    for (const { path, trained } of declared) {
      expectClose(device.parameters[path].data, host.parameters[path].data, { name: path, tolerance: 1e-4 });
      expectClose(device.averaged[path], host.averaged[path], { name: `average of ${path}`, tolerance: 1e-4 });
      if (trained) expect(host.parameters[path].data).not.toEqual(before[path].data);
      else {
        expect(host.parameters[path].data).toEqual(before[path].data);
        expect(device.parameters[path].data).toEqual(before[path].data);
        expect(host.averaged[path]).toEqual(before[path].data);
      }
    }
  });
});

async function readAll(parameters: ModelParameters): Promise<Record<string, ArrayLike<number>>> {
  const read: Record<string, ArrayLike<number>> = {};
  for (const [path, tensor] of Object.entries(parameters))
    read[path] = "read" in tensor ? await tensor.read() : tensor.data;
  return read;
}

describe("parts that are frozen", () => {
  it("are named by their paths, or those of several layers", () => {
    const { frozen } = tuningOf({ freeze: ["embedding", "layers.1-2", "layers.3.unit"] });
    const names = [
      "embedding.weight",
      "layers.1.a",
      "layers.2.b",
      "layers.3.unit.c",
      "layers.3.d",
      "layers.10.a",
      "layers.0.a",
    ];
    expect(names.filter((path) => frozen?.(path))).toEqual(names.slice(0, 4));
  });

  it("are refused where there are none, and where nothing is left", () => {
    expect(freezeProblem(flash, ["layers.0-3", "embedding"])).toBeUndefined();
    expect(freezeProblem(flash, ["layer.0"])).toBe(
      "`freeze` layer.0: expected embedding, logits, layers.0-3 or final, got layer.0",
    );
    expect(freezeProblem(flash, ["layers.2-900000000"])).toMatch(/got layers\.4$/);
    expect(freezeProblem(flash, ["embedding", "logits", "layers.0-3", "final"])).toMatch(/nothing is left/);
  });
});
