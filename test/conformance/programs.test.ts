/** Every engine on whole graphs: compositions with their gradients against the interpreter, and what a function promises. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HostTensor } from "../../src/base/dtype.ts";
import { gradients } from "../../src/graph/gradients.ts";
import { program, verify } from "../../src/graph/program.ts";
import { constant, input } from "../../src/graph/tensor.ts";
import type { Engine } from "../../src/runtime/engine.ts";
import { interpret } from "../reference/interpreter.ts";
import { expectClose } from "../support/compare.ts";
import { inputTensors, weightedSum } from "../support/differences.ts";
import { numbered } from "./case.ts";
import { openEngine, testedEngines } from "./engines.ts";
import { functions } from "./functions.ts";

describe.each(testedEngines)("%s", (name) => {
  let engine: Engine;
  beforeAll(() => {
    engine = openEngine(name);
  });
  afterAll(() => engine.close());

  it.each(functions)("computes $name and all its gradients", async ({ name: title, inputs, build }) => {
    const x = inputTensors(inputs);
    const outputs = build(x);
    const { loss, cotangents } = weightedSum(outputs);
    const wrt = Object.keys(inputs).filter((key) => inputs[key].dtype === "float32");
    const found = gradients(
      loss,
      wrt.map((key) => x[key]),
    );
    const graph = program(title, {
      ...numbered("y", outputs),
      ...Object.fromEntries(wrt.map((key, i) => [`d_${key}`, found[i]])),
      loss,
    });
    verify(graph);
    const data = { ...cotangents, ...Object.fromEntries(Object.entries(inputs).map(([key, { data }]) => [key, data])) };
    for (const keepDuplicates of [false, true]) {
      const compiled = await engine.compile(graph, { keepDuplicates });
      const actual = await compiled.run(data);
      for (const [key, expected] of Object.entries(interpret(graph, data))) {
        expectClose(actual[key], expected.data, { name: `${title} ${key}`, tolerance: 1e-5, shape: expected.shape });
      }
      await compiled.release();
    }
  });

  it("returns inputs, constants and one tensor under two names", async () => {
    const x = input("x", [2]);
    const y = x.add(1);
    const table = constant(Int32Array.of(7, 8, 9), [3]);
    const compiled = await engine.compile(program("outputs", { same: x, y, z: y, table, half: x.constant(0.5) }));
    const { ...results } = await compiled.run({ x: Float32Array.of(1, 2) });
    expect(Object.fromEntries(Object.entries(results).map(([key, data]) => [key, [...data]]))).toEqual({
      same: [1, 2],
      y: [2, 3],
      z: [2, 3],
      table: [7, 8, 9],
      half: [0.5],
    });
    await compiled.release();
  });

  it("reads new values in the same arrays and in others, run after run", async () => {
    const x = input("x", [2]);
    const compiled = await engine.compile(program("runs", { y: x.mul(10) }));
    const data = Float32Array.of(1, 2);
    expect([...(await compiled.run({ x: data })).y]).toEqual([10, 20]);
    data[0] = 5;
    expect([...(await compiled.run({ x: data })).y]).toEqual([50, 20]);
    expect([...(await compiled.run({ x: Float32Array.of(7, 8) })).y]).toEqual([70, 80]);
    await compiled.release();
  });

  it("names an input that is missing, unknown or of another length", async () => {
    const compiled = await engine.compile(program("inputs", { y: input("x", [2]).exp() }));
    const x = new Float32Array(2);
    await expect(compiled.run({})).rejects.toThrow("input x");
    await expect(compiled.run({ x: new Float32Array(3) })).rejects.toThrow(/input x.* got 3/);
    await expect(compiled.run({ x, other: x })).rejects.toThrow("input other");
    await compiled.release();
  });

  it("keeps tensors on its device, goes on from them, and counts the bytes that cross", async () => {
    const x = input("x", [2, 3]);
    const graph = program("resident", { next: x.mul(2), sum: x.sum([0, 1]) });
    const compiled = await engine.compileResident(graph, ["next"]);
    const given = Float32Array.of(1, 2, 3, 4, 5, 6);
    const before = { ...engine.traffic };
    const first = await engine.upload({ dtype: "float32", shape: [2, 3], data: given });
    let state = first;
    for (const sum of [21, 42, 84]) {
      const { host, device } = await compiled.run({ x: state });
      expect([...host.sum]).toEqual([sum]);
      if (state !== first) state.release();
      state = device.next;
    }
    expect(engine.traffic.sent - before.sent).toBe(24);
    expect(engine.traffic.received - before.received).toBe(3 * 4);
    expect([state.dtype, state.shape]).toEqual(["float32", [2, 3]]);
    expect([...(await state.read())]).toEqual([8, 16, 24, 32, 40, 48]);
    expect([...(await first.read())]).toEqual([...given]);
    expect(engine.traffic.received - before.received).toBe(3 * 4 + 2 * 24);
    first.release();
    await compiled.release();
    expect([...(await state.read())]).toEqual([8, 16, 24, 32, 40, 48]);
    state.release();
  });

  it("reads and uploads several tensors of one type at the same time, of every type", async () => {
    const tensors: HostTensor[] = [1, 2, 3].flatMap((n) => [
      { dtype: "float32", shape: [2], data: Float32Array.of(n, n + 0.5) },
      { dtype: "int32", shape: [2], data: Int32Array.of(n, -n) },
    ]);
    const held = await Promise.all(tensors.map((tensor) => engine.upload(tensor)));
    const read = await Promise.all(held.map((tensor) => tensor.read()));
    expect(read).toEqual(tensors.map(({ data }) => data));
    for (const tensor of held) tensor.release();
  });

  it("names a tensor of another type, and an output to keep that is none", async () => {
    const x = input("x", [2]);
    const compiled = await engine.compile(program("types", { y: x.exp() }));
    const other = await engine.upload({ dtype: "float32", shape: [3], data: new Float32Array(3) });
    await expect(compiled.run({ x: other })).rejects.toThrow("input x");
    await expect(engine.compileResident(program("kept", { y: x.exp() }), ["z"])).rejects.toThrow("got z");
    other.release();
    await compiled.release();
  });

  it("tells NaN from numbers", async () => {
    const x = input("x", [3]);
    const compiled = await engine.compile(program("nan", { bad: x.equal(x).not() }));
    expect([...(await compiled.run({ x: Float32Array.of(1, Number.NaN, -1) })).bad]).toEqual([0, 1, 0]);
    await compiled.release();
  });
});
