/** Both forms of each optimiser, on host arrays and as a program, by one table of cases against the formulas in float64. */
import { afterAll, describe, expect, it } from "vitest";
import { openEngine, testedEngines } from "../../test/conformance/engines.ts";
import { expectClose } from "../../test/support/compare.ts";
import { muonReference } from "../../test/support/muon-reference.ts";
import type { HostTensor } from "../base/dtype.ts";
import { randomKey, randomNormals } from "../base/random.ts";
import { type Shape, sizeOf } from "../base/shape.ts";
import type { Role } from "../nn/scope.ts";
import type { Engine } from "../runtime/engine.ts";
import { createDeviceUpdate } from "./device-update.ts";
import { type FlatPart, flatGroups, flatShape, flattenArrays } from "./flat.ts";
import { createHostUpdate } from "./host-update.ts";
import { type FloatArrays, globalNorm, initialOptimizerState } from "./optimizer.ts";
import { type OptimizerConfig, rulesOf } from "./optimizer-config.ts";
import type { StepOutcome } from "./training-step.ts";
import { groupGradientName, LOG_STEPS } from "./update-program.ts";

const parts: readonly (FlatPart & { readonly role: Role })[] = [
  { path: "table", shape: [33, 40], role: "table" },
  { path: "tall", shape: [12, 5], role: { map: [5] } },
  { path: "bias", shape: [7], role: "other" },
  { path: "wide", shape: [4, 18], role: { map: [6, 12] } },
  { path: "square", shape: [5, 3, 2], role: "other" },
  { path: "alike", shape: [4, 6], role: { map: [6] } },
  { path: "scale", shape: [1], role: "other" },
  { path: "one", shape: [], role: "other" },
];
const shapes: Readonly<Record<string, Shape>> = Object.fromEntries(parts.map(({ path, shape }) => [path, shape]));
const config: OptimizerConfig = { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weightDecay: 0.1, clip: 1 };

interface Case {
  readonly name: string;
  readonly config?: Partial<OptimizerConfig>;
  /** Scale of the gradients. */
  readonly size?: number;
  readonly accumulate?: number;
  /** Updates before the first. */
  readonly updates?: number;
  /** Replaces one element of a batch's gradient, or its loss, at these steps. */
  readonly broken?: Readonly<Record<number, { readonly loss?: number; readonly gradient?: number }>>;
  readonly steps?: number;
}

const cases: readonly Case[] = [
  { name: "plain", config: { clip: 0, weightDecay: 0 } },
  { name: "decay of matrices only", config: { clip: 0, weightDecay: 0.5 } },
  { name: "clipped", size: 100 },
  { name: "below the clipping norm", size: 1e-4 },
  { name: "the sum of three batches", accumulate: 3 },
  { name: "going on after many updates", updates: 12345 },
  { name: "a gradient that is NaN", broken: { 2: { gradient: Number.NaN } } },
  { name: "a gradient that is infinite", broken: { 1: { gradient: Number.NEGATIVE_INFINITY } } },
  { name: "a loss that is not finite", broken: { 2: { loss: Number.NaN }, 3: { loss: Number.POSITIVE_INFINITY } } },
  { name: "one bad batch of two", accumulate: 2, broken: { 3: { gradient: Number.NaN } } },
  { name: "decay of maps and tables only", config: { clip: 0, weightDecay: 0.5, decayed: "maps" } },
  { name: "Muon", config: { name: "muon", clip: 0 } },
  {
    name: "Muon with another momentum, clipped, decay of maps only",
    config: { name: "muon", momentum: 0.5, decayed: "maps" },
    size: 100,
  },
  {
    name: "Muon of two batches, one of them bad",
    config: { name: "muon" },
    accumulate: 2,
    broken: { 3: { loss: Number.NaN } },
  },
  { name: "with an average of the parameters", config: { ema: 0.9 }, steps: 12, broken: { 5: { loss: Number.NaN } } },
  { name: "Muon with an average that remembers little", config: { name: "muon", ema: 0.3 }, updates: 100 },
  { name: "Muon of a gradient of zeros", config: { name: "muon" }, size: 0, steps: 2 },
  { name: "more steps than the device keeps outcomes of", steps: 19, broken: { 7: { loss: Number.NaN } } },
];

interface Step {
  /** Of each batch. */
  readonly losses: readonly number[];
  readonly gradients: readonly FloatArrays[];
  readonly learningRate: number;
}

interface Values {
  readonly parameters: FloatArrays;
  readonly m: FloatArrays;
  readonly v: FloatArrays;
  readonly average?: FloatArrays | undefined;
}

interface Result extends Values {
  readonly outcomes: readonly StepOutcome[];
}

/** Takes all steps from the initial parameters and moments of zero. */
type Form = (initial: Readonly<Record<string, HostTensor>>, steps: readonly Step[], of: Case) => Promise<Result>;

const normals = (path: string, of: string, scale = 1) =>
  randomNormals(randomKey(3, `${path} ${of}`), sizeOf(shapes[path]), scale);
const byPath = (values: (path: string) => Float32Array): Record<string, Float32Array> =>
  Object.fromEntries(Object.keys(shapes).map((path) => [path, values(path)]));

const copyOf = (tensors: Readonly<Record<string, HostTensor>>) =>
  Object.fromEntries(
    Object.entries(tensors).map(([path, tensor]) => [path, { ...tensor, data: tensor.data.slice() as Float32Array }]),
  );

function stepsOf({ size = 1, accumulate = 1, broken = {}, steps = 4 }: Case): Step[] {
  return Array.from({ length: steps }, (_, s) => {
    const gradients = Array.from({ length: accumulate }, (_, b) => byPath((path) => normals(path, `${s} ${b}`, size)));
    const losses = gradients.map((_, b) => 1 + s + b / 8);
    const { loss, gradient } = broken[s + 1] ?? {};
    if (loss !== undefined) losses[accumulate - 1] = loss;
    if (gradient !== undefined) gradients[accumulate - 1].table[17] = gradient;
    return { losses, gradients, learningRate: 0.01 * (s + 1) };
  });
}

/** The definition: float64, element by element. */
const reference: Form = async (initial, steps, of) => {
  const {
    beta1,
    beta2,
    epsilon,
    weightDecay,
    clip,
    name,
    momentum = 0.95,
    decayed,
    ema = 0,
  } = { ...config, ...of.config };
  const copy = (path: string) => Float64Array.from(initial[path].data);
  const [p, m, v] = [copy, (path: string) => copy(path).fill(0), (path: string) => copy(path).fill(0)].map((values) =>
    Object.fromEntries(Object.keys(shapes).map((path) => [path, values(path)])),
  );
  const average = Object.fromEntries(Object.keys(shapes).map((path) => [path, copy(path)]));
  let t = of.updates ?? 0;
  const outcomes: StepOutcome[] = [];
  for (const { losses, gradients, learningRate } of steps) {
    const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
    const g = (path: string, i: number) => mean(gradients.map((batch) => batch[path][i]));
    let square = 0;
    for (const path in shapes) for (let i = 0; i < p[path].length; i++) square += g(path, i) ** 2;
    const [loss, norm] = [mean(losses), Math.sqrt(square)];
    const applied = Number.isFinite(loss) && Number.isFinite(norm);
    outcomes.push({ loss, gradientNorm: norm, applied });
    if (!applied) continue;
    t += 1;
    const scale = clip > 0 ? Math.min(1, clip / (norm + 1e-6)) : 1;
    for (const { path, shape, role } of parts) {
      const isDecayed = decayed === "maps" ? role !== "other" : shape.length > 1;
      if (name === "muon" && typeof role === "object") {
        const gradient = p[path].map((_, i) => scale * g(path, i));
        m[path] = m[path].map((value, i) => momentum * value + gradient[i]);
        const direction = gradient.map((value, i) => value + momentum * m[path][i]);
        const update = muonReference(direction, shape[1], role.map);
        p[path] = p[path].map((value, i) => value - learningRate * (update[i] + (isDecayed ? weightDecay * value : 0)));
        continue;
      }
      for (let i = 0; i < p[path].length; i++) {
        const gi = scale * g(path, i);
        m[path][i] = beta1 * m[path][i] + (1 - beta1) * gi;
        v[path][i] = beta2 * v[path][i] + (1 - beta2) * gi * gi;
        const direction = m[path][i] / (1 - beta1 ** t) / (Math.sqrt(v[path][i] / (1 - beta2 ** t)) + epsilon);
        const decay = isDecayed ? weightDecay * p[path][i] : 0;
        p[path][i] -= learningRate * (direction + decay);
      }
    }
    const keep = Math.min(ema, (1 + t) / (10 + t));
    for (const path in shapes) average[path] = average[path].map((mean, i) => keep * mean + (1 - keep) * p[path][i]);
  }
  const single = (values: Record<string, Float64Array>) => byPath((path) => Float32Array.from(values[path]));
  return { parameters: single(p), m: single(m), v: single(v), average: single(average), outcomes };
};

const engineOfHost = openEngine("cpu");

const onHost: Form = async (initial, steps, of) => {
  const parameters = copyOf(initial);
  const all = { ...config, ...of.config };
  const state = initialOptimizerState(parameters, rulesOf(parts, all), all.ema);
  const optimizer = await createHostUpdate(engineOfHost, parts, all);
  const outcomes: StepOutcome[] = [];
  let update = of.updates ?? 0;
  for (const { losses, gradients: batches, learningRate } of steps) {
    const scale = 1 / batches.length;
    const gradients = byPath((path) => batches[0][path].map((_, i) => batches.reduce((sum, b) => sum + b[path][i], 0)));
    const norm = globalNorm(gradients) * scale;
    const loss = losses.reduce((sum, x) => sum + x, 0) * scale;
    const applied = Number.isFinite(loss) && Number.isFinite(norm);
    outcomes.push({ loss, gradientNorm: norm, applied });
    if (!applied) continue;
    update += 1;
    const step = { parameters, gradients, scale, state, step: update, learningRate, gradientNorm: norm, config: all };
    await optimizer.apply(step);
  }
  await optimizer.release();
  return { parameters: byPath((path) => parameters[path].data), ...state, outcomes };
};

const onDevice =
  (engine: Engine): Form =>
  async (initial, steps, of) => {
    const all = { ...config, ...of.config };
    const groups = flatGroups(parts);
    const parameters = copyOf(initial);
    const optimizer = initialOptimizerState(parameters, rulesOf(parts, all), all.ema);
    const options = { groups, accumulate: of.accumulate ?? 1, config: all };
    const update = await createDeviceUpdate(engine, options, { parameters, optimizer, updates: of.updates ?? 0 });
    const outcomes: StepOutcome[] = [];
    for (const { losses, gradients, learningRate } of steps) {
      for (const [b, loss] of losses.entries()) {
        const batch = { loss: await engine.upload({ dtype: "float32", shape: [1], data: Float32Array.of(loss) }) };
        for (const [i, group] of groups.entries()) {
          const flat = { dtype: "float32", shape: flatShape(group), data: flattenArrays(group, gradients[b]) } as const;
          Object.assign(batch, { [groupGradientName(i)]: await engine.upload(flat) });
        }
        await update.add(batch);
      }
      await update.apply(learningRate);
      if (update.unread === LOG_STEPS) outcomes.push(...(await update.read()));
    }
    outcomes.push(...(await update.read()));
    const result = {
      parameters: copyOf(initial),
      optimizer: initialOptimizerState(initial, rulesOf(parts, all), all.ema),
    };
    await update.download(result);
    await update.release();
    return { parameters: byPath((path) => result.parameters[path].data), ...result.optimizer, outcomes };
  };

const opened = testedEngines.map((name) => ({ name, engine: openEngine(name) }));
afterAll(async () => {
  await engineOfHost.close();
  for (const { engine } of opened) await engine.close();
});

const forms: readonly { readonly title: string; readonly form: Form }[] = [
  { title: "on host arrays", form: onHost },
  ...opened.map(({ name, engine }) => ({ title: `as a program (${name})`, form: onDevice(engine) })),
];

describe.each(forms)("updates $title", ({ form }) => {
  it.each(cases)("$name", async (of) => {
    const initial = Object.fromEntries(
      Object.entries(shapes).map(([path, shape]) => [
        path,
        { dtype: "float32", shape, data: normals(path, "initial") } as const,
      ]),
    );
    const steps = stepsOf(of);
    const expected = await reference(initial, steps, of);
    const actual = await form(initial, steps, of);
    expect(actual.outcomes.map(({ applied }) => applied)).toEqual(expected.outcomes.map(({ applied }) => applied));
    for (const [i, { loss, gradientNorm }] of actual.outcomes.entries()) {
      if (Number.isFinite(expected.outcomes[i].loss)) expect(loss).toBeCloseTo(expected.outcomes[i].loss, 5);
      else expect(loss).toBe(expected.outcomes[i].loss);
      const norm = expected.outcomes[i].gradientNorm;
      if (Number.isFinite(norm) && norm > 0) expect(gradientNorm / norm).toBeCloseTo(1, 5);
      else expect(gradientNorm).toBe(norm);
    }
    expect(actual.average !== undefined).toBe((of.config?.ema ?? 0) > 0);
    for (const kind of ["parameters", "m", "v", "average"] as const) {
      if (kind === "v" && of.config?.name === "muon") expect(Object.keys(actual.v)).not.toContain("wide");
      for (const [path, shape] of Object.entries(shapes)) {
        const [found, wanted] = [actual[kind]?.[path], expected[kind]?.[path]];
        if (found && wanted) expectClose(found, wanted, { name: `${kind} ${path}`, tolerance: 1e-5, shape });
      }
    }
  });
});

it("tensors stand in groups of one kind and at most so many bytes", () => {
  const shaped = [[4, 4], [16], [5, 3], [2, 2, 2], [900], [3]].map((shape, i) => ({ path: `p${i}`, shape }));
  const groups = flatGroups(shaped, 4 * 31);
  expect(groups.map(({ parts }) => parts.map(({ path }) => path))).toEqual([
    ["p0", "p2"],
    ["p3"],
    ["p1"],
    ["p4"],
    ["p5"],
  ]);
  expect(flatGroups(parts).map(({ parts }) => parts.map(({ path }) => path))).toEqual([
    ["tall", "wide", "alike"],
    ["table"],
    ["square"],
    ["bias", "scale", "one"],
  ]);
});
