/** What both bindings of ONNX Runtime promise, and that they compute the same bits. */
import { setTimeout as pause } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../test/support/compare.ts";
import type { HostArray } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { randomKey, randomNormals } from "../base/random.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { parseModelConfig } from "../models/config.ts";
import { modelOf, parametersOf } from "../models/language-model.ts";
import { presetModel } from "../models/presets.ts";
import { initialise } from "../nn/scope.ts";
import { trainingProgram } from "../train/objective.ts";
import type { Engine } from "./engine.ts";
import { BINDING_VARIABLE, bindings, chooseBinding, ortNodeEngine } from "./ort-node.ts";

const SIZE = 256;
const values = randomNormals(randomKey(1, "bindings"), SIZE * SIZE).map((value) => value / Math.sqrt(SIZE));

/** A product of as many factors: long enough to look at while it is computed. */
function longProgram(name: string, factors = 400) {
  const x = input("x", [SIZE, SIZE]);
  let y = x;
  for (let i = 1; i < factors; i++) y = y.matmul(x);
  return program(name, { y });
}

const bytesOf = ({ buffer, byteOffset, byteLength }: HostArray) => Buffer.from(buffer, byteOffset, byteLength);

describe.each(bindings)("%s", (binding) => {
  let engine: Engine;
  beforeAll(() => {
    engine = ortNodeEngine({ threads: 1, binding });
  });
  afterAll(() => engine.close());

  it("computes two functions at once", async () => {
    const x = input("x", [SIZE, SIZE]);
    const twice = await engine.compile(program("twice", { y: x.mul(2) }));
    const long = await engine.compile(longProgram("long"));
    const alone = (await long.run({ x: values })).y.slice();
    const [first, second] = await Promise.all([long.run({ x: values }), twice.run({ x: values })]);
    expect(bytesOf(first.y).equals(bytesOf(alone))).toBe(true);
    expect(bytesOf(second.y).equals(bytesOf(values.map((value) => 2 * value)))).toBe(true);
  });

  it("takes inputs that are the same at every run into the program, as they are then", async () => {
    const [x, w] = [input("x", [SIZE, SIZE]), input("w", [SIZE, SIZE])];
    const product = program("fixed", { y: x.matmul(w) });
    const own = values.map((value) => 2 * value);
    const given = await engine.compile(product);
    const expected = (await given.run({ x: values, w: own })).y.slice();
    const fixed = await engine.compile(product, { fixed: { w: own } });
    own.fill(0);
    expectClose((await fixed.run({ x: values })).y, expected, { name: "y", tolerance: 1e-6 });
    await expect(fixed.run({ x: values, w: own })).rejects.toThrow("fixed: there is no input w");
    await expect(engine.compile(product, { fixed: { v: own } })).rejects.toThrow("fixed: there is no input v");
    await expect(engine.compile(product, { fixed: { w: own.slice(1) } })).rejects.toThrow(
      `fixed: input w expected ${SIZE * SIZE} elements [${SIZE}, ${SIZE}], got ${SIZE * SIZE - 1}`,
    );
  });

  it("refuses a second run of a function while one is under way, and goes on after it", async () => {
    const long = await engine.compile(longProgram("busy", 20));
    const expected = (await long.run({ x: values })).y.slice();
    const running = long.run({ x: values });
    await expect(long.run({ x: values })).rejects.toThrow("busy: expected one run at a time, got another");
    expect(bytesOf((await running).y).equals(bytesOf(expected))).toBe(true);
    expect(bytesOf((await long.run({ x: values })).y).equals(bytesOf(expected))).toBe(true);
  });

  it("ends a session after its run and after the tensors that it made, however often it is asked to", async () => {
    const long = await engine.compileResident(longProgram("released", 20), ["y"]);
    const running = long.run({ x: values });
    await Promise.all([long.release(), long.release()]);
    const { y } = (await running).device;
    await long.release();
    expect(await y.read()).toHaveLength(SIZE * SIZE);
    y.release();
    y.release();
    await expect(y.read()).rejects.toThrow("used after release");
    await expect(long.run({ x: values })).rejects.toThrow("released: run after release");
  });

  it("closes in the middle of a run", async () => {
    const own = ortNodeEngine({ threads: 1, binding });
    const long = await own.compile(longProgram("closed"));
    const running = long.run({ x: values });
    await own.close();
    expect((await running).y).toHaveLength(SIZE * SIZE);
  });

  it("says what is wrong with a model in one sentence", async () => {
    const { InferenceSession } = chooseBinding("cpu", binding).ort;
    await expect(InferenceSession.create(Uint8Array.of(1, 2, 3), {})).rejects.toThrow(/model|protobuf/i);
    const unknown = ortNodeEngine({ threads: 1, binding, dumpOptimizedTo: "/nowhere" });
    await expect(unknown.compile(program("dumped", { y: input("x", [2]).exp() }))).rejects.toThrow(
      /^cpu could not prepare dumped: .*nowhere/s,
    );
  });

  it("lets threads sleep soon after a run, and takes other session options", async () => {
    const processorMs: number[] = [];
    for (const config of [{}, { "session.intra_op.spin_duration_us": "100000" }]) {
      const own = ortNodeEngine({ threads: 2, binding, config });
      const compiled = await own.compile(longProgram("idle", 5));
      const after: number[] = [];
      for (let i = 0; i < 5; i++) {
        await compiled.run({ x: values });
        const before = process.cpuUsage();
        await pause(150);
        const { user, system } = process.cpuUsage(before);
        after.push((user + system) / 1000);
      }
      processorMs.push(after.sort((a, b) => a - b)[2]);
      await own.close();
    }
    expect(processorMs[0]).toBeLessThan(processorMs[1] / 2);
  });

  it("reads and writes small arrays where they are, whatever the garbage collector does", async () => {
    setFlagsFromString("--expose-gc");
    const collect: () => void = runInNewContext("gc");
    const compiled = await engine.compileResident(program("small", { y: input("x", [3]).mul(2) }), ["y"]);
    for (let i = 0; i < 200; i++) {
      const { y } = (await compiled.run({ x: Float32Array.of(i, i + 1, i + 2) })).device;
      if (i % 20 === 0) collect();
      expect([...(await y.read())]).toEqual([2 * i, 2 * i + 2, 2 * i + 4]);
      if (i % 3 !== 0) y.release();
    }
    await compiled.release();
  });
});

it("computes the same bits by either binding: loss and gradients of a model", async () => {
  const model = parseModelConfig({ ...presetModel("flash", "nano", { context: 128 }), vocabSize: 300 });
  const { program: training } = trainingProgram(modelOf(model), { batch: 2, context: 128 });
  const tokens = Int32Array.from({ length: 256 }, (_, i) => (i * i * 7) % 300);
  const parameters = Object.entries(initialise(parametersOf(model), 1)).map(([path, { data }]) => [path, data]);
  const inputs: Record<string, HostArray> = { ...Object.fromEntries(parameters), tokens, targets: tokens };
  const results: Record<string, HostArray>[] = [];
  for (const binding of bindings) {
    const engine = ortNodeEngine({ threads: 2, binding });
    const compiled = await engine.compile(training);
    const outputs = Object.entries(await compiled.run(inputs)).map(([name, data]) => [name, data.slice()]);
    results.push(Object.fromEntries(outputs));
    await engine.close();
  }
  expect(Object.keys(results[0]).length).toBeGreaterThan(30);
  for (const name in results[0]) expect(bytesOf(results[0][name]).equals(bytesOf(results[1][name])), name).toBe(true);
});

it("refuses to write where an array's memory was transferred to someone else", async () => {
  const engine = ortNodeEngine({ threads: 1, binding: "c-api" });
  const compiled = await engine.compile(program("taken", { y: input("x", [3]).mul(2) }));
  const { y } = await compiled.run({ x: new Float32Array(3) });
  structuredClone(y.buffer, { transfer: [y.buffer as ArrayBuffer] });
  const sentence = "cpu failed in taken: an array of 3 elements has 0 now; do not transfer its buffer";
  await expect(compiled.run({ x: new Float32Array(3) })).rejects.toThrow(sentence);
  await engine.close();
});

it("leaves the event loop free through the C interface", async () => {
  const engine = ortNodeEngine({ threads: 1, binding: "c-api" });
  const long = await engine.compile(longProgram("free"));
  let ended = false;
  const running = long.run({ x: values }).finally(() => {
    ended = true;
  });
  for (let i = 0; i < 3; i++) await pause(1);
  expect(ended).toBe(false);
  await running;
  await engine.close();
});

describe("the binding", () => {
  const asked = process.env[BINDING_VARIABLE];
  afterAll(() => {
    if (asked === undefined) delete process.env[BINDING_VARIABLE];
    else process.env[BINDING_VARIABLE] = asked;
  });

  it("is that of onnxruntime-node for devices other than the CPU", () => {
    expect(chooseBinding("webgpu", "c-api")).toMatchObject({ binding: "node", reason: "the device is webgpu" });
  });

  it("can be chosen by an environment variable, which must name one", () => {
    for (const binding of bindings) {
      process.env[BINDING_VARIABLE] = binding;
      expect(chooseBinding("cpu").binding).toBe(binding);
    }
    process.env[BINDING_VARIABLE] = "wasm";
    expect(() => ortNodeEngine()).toThrow(new LonghandError("usage", "LONGHAND_BINDING=wasm: expected c-api or node"));
  });

  it("is the C interface where nobody asks and it has been tried: on Linux", () => {
    delete process.env[BINDING_VARIABLE];
    expect(chooseBinding("cpu").binding).toBe(process.platform === "linux" ? "c-api" : "node");
  });
});
