/** Loops on threads: the bits are those of one thread, whoever runs which part; threads end, whatever happens. */
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { Worker } from "node:worker_threads";
import { afterAll, describe, expect, it } from "vitest";
import { root } from "../../test/cli/command.ts";
import { smallModel } from "../../test/support/small-model.ts";
import { randomKey, randomNormals, randomUniform } from "../base/random.ts";
import { scriptBeside, startThread } from "../base/threads.node.ts";
import { modelOf, parametersOf } from "../models/language-model.ts";
import { initialise } from "../nn/scope.ts";
import { hostLoops } from "../run/machine/host-loops.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { type HostLoops, type Loop, loopsHere, runHere } from "./host-loops.ts";
import { type Kernel, type KernelName, kernelNames, kernels, type LoopArray } from "./kernels.ts";
import { placeOf } from "./loop-memory.node.ts";
import { LoopTable, MOST_PARTS, partsOf } from "./loop-table.ts";
import { LoopThreads } from "./loop-threads.node.ts";
import { initialOptimizerState } from "./optimizer.ts";
import { type OptimizerConfig, rulesOf } from "./optimizer-config.ts";
import { createTrainStep } from "./step.ts";
import type { StepInputs } from "./training-step.ts";

/** Workers without the help of this thread: every part is run by one of them. */
class WorkersAlone implements HostLoops {
  readonly #table = new LoopTable();
  readonly #workers: readonly Worker[];

  constructor(count: number) {
    const script = scriptBeside(import.meta.url, "loop-worker.node");
    this.#workers = Array.from({ length: count }, () => startThread(script, { data: this.#table.shared, limits: {} }));
  }

  async run(loops: readonly Loop[]): Promise<readonly number[]> {
    const parts = partsOf(loops);
    const results = new Map<Loop, number>();
    for (let i = 0; i < parts.length; i += MOST_PARTS) {
      const some = parts.slice(i, i + MOST_PARTS);
      this.#table.begin(some, placeOf, this.#workers.length);
      while (!this.#table.allDone(20)) await turn();
      for (const [k, { loop }] of some.entries()) results.set(loop, this.#table.shared.results[k]);
    }
    return loops.map((loop) => results.get(loop) ?? 0);
  }

  async close(): Promise<void> {
    const ended = this.#workers.map((worker) => new Promise((resolve) => worker.once("exit", resolve)));
    this.#table.close();
    expect(await Promise.all(ended)).toEqual(this.#workers.map(() => 0));
  }
}

const onWorkers = [1, 2, 3].map((count) => ({ name: `${count} workers alone`, loops: new WorkersAlone(count) }));
const onThreads = [1, 2, 4].map((threads) => ({
  name: `${threads} threads together`,
  loops: new LoopThreads({ threads, share: 50 }),
}));
const forms: readonly { readonly name: string; readonly loops: HostLoops }[] = [...onWorkers, ...onThreads];
afterAll(() => Promise.all(forms.map(({ loops }) => loops.close())), 60_000);

const bytesOf = ({ buffer, byteOffset, byteLength }: LoopArray) => Buffer.from(buffer, byteOffset, byteLength);

/** Loops of one kernel over arrays of these lengths, the second of each two beginning within its memory. */
function madeLoops(kernel: KernelName, lengths: readonly number[], salt = ""): Loop[] {
  return lengths.map((length, n): Loop => {
    const { arrays: names, factors } = kernels[kernel] as Kernel;
    const made = (name: string, elements: number) => {
      const values = randomNormals(randomKey(7, `${salt} ${kernel} ${n} ${name}`), elements, 1);
      if (name === "v") for (let i = 0; i < elements; i++) values[i] = Math.abs(values[i]);
      if (n % 2 === 0) return values;
      const within = new Float32Array(elements + 3).subarray(1, elements + 1);
      within.set(values);
      return within;
    };
    const numbers = Object.fromEntries(factors.map((name, i) => [name, 0.9 - i / 8]));
    if (kernel !== "addRows") {
      const arrays = Object.fromEntries(names.map((name) => [name, made(name, length)]));
      return { kernel, arrays, factors: numbers, length } as unknown as Loop;
    }
    const [vocabulary, depth] = [5, 40];
    const key = randomKey(7, "indices", n);
    const indices = Int32Array.from({ length: depth }, (_, i) => Math.floor(vocabulary * randomUniform(key, i)));
    const arrays = { gradient: made("gradient", vocabulary * length), rows: made("rows", depth * length), indices };
    return { kernel, arrays, factors: { width: length }, length, depth };
  });
}

function expectSameBits(loops: readonly Loop[], expected: readonly Loop[], what: string): void {
  for (const [n, { arrays }] of loops.entries()) {
    for (const [name, array] of Object.entries<LoopArray>(arrays)) {
      const same = bytesOf(array).equals(bytesOf((expected[n].arrays as Record<string, LoopArray>)[name]));
      expect(same, `${what}, loop ${n}, ${name}`).toBe(true);
    }
  }
}

describe.each(forms)("loops by $name", { timeout: 120_000 }, ({ loops }) => {
  it.each(kernelNames)("are those of one thread: %s", async (kernel) => {
    for (const lengths of [[50_001, 1, 16_384, 3, 100, 0, 70_000], [129]]) {
      const [own, expected] = [madeLoops(kernel, lengths), madeLoops(kernel, lengths)];
      for (let i = 0; i < 3; i++) {
        expect(await loops.run(own)).toEqual(runHere(expected));
        expectSameBits(own, expected, kernel);
      }
    }
  });

  it("go through more parts than the table holds, of several kernels at a time", async () => {
    const make = () => [
      ...madeLoops("squares", new Array(2100).fill(5)),
      ...madeLoops("move", new Array(2100).fill(3)),
      ...madeLoops("squares", [40_000]),
    ];
    const [own, expected] = [make(), make()];
    expect(partsOf(own).length).toBeGreaterThan(MOST_PARTS);
    expect(await loops.run(own)).toEqual(runHere(expected));
    expectSameBits(own, expected, "mixed");
  });
});

const shape = { batch: 2, context: 32 };
const model = smallModel("flash", { context: 32, vocabSize: 50, causal: true });
const base: OptimizerConfig = { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weightDecay: 0.1, clip: 0.5 };
const optimizers: readonly { readonly name: string; readonly batches: number; readonly config: OptimizerConfig }[] = [
  { name: "AdamW, clipped", batches: 1, config: base },
  { name: "AdamW, three batches, an average", batches: 3, config: { ...base, clip: 0, ema: 0.9 } },
  { name: "Muon", batches: 1, config: { ...base, name: "muon", decayed: "maps" } },
  { name: "Muon, two batches, an average", batches: 2, config: { ...base, name: "muon", ema: 0.5 } },
];

describe.each(optimizers)("steps of $name", { timeout: 120_000 }, ({ batches, config }) => {
  const engine = ortNodeEngine({ threads: 1 });
  afterAll(() => engine.close());

  /** What four steps lead to, each by the loops that are given for it. */
  async function trained(loopsOf: (step: number) => HostLoops) {
    const declared = parametersOf(model);
    const parameters = initialise(declared, 1);
    const state = initialOptimizerState(parameters, rulesOf(declared, config), config.ema);
    const norms: number[] = [];
    let current = loopsOf(0);
    const loops: HostLoops = { run: (some) => current.run(some), close: async () => {} };
    const trainStep = await createTrainStep(engine, modelOf(model), shape, { loops });
    for (let step = 0; step < 4; step++) {
      current = loopsOf(step);
      const made = Array.from({ length: batches }, (_, b) => {
        const key = randomKey(step, "tokens", b);
        const tokens = Int32Array.from({ length: 64 }, (_, i) => Math.floor(50 * randomUniform(key, i) ** 2));
        return { tokens, targets: tokens.map((token) => (token * 7) % 50) };
      });
      const inputs: StepInputs = { parameters, state, batches: made, learningRate: 0.01, update: step + 1, config };
      const { gradientNorm, applied } = await trainStep.run(inputs);
      expect(applied).toBe(true);
      norms.push(gradientNorm);
    }
    await trainStep.release();
    const arrays = Object.entries(parameters).map(([path, { data }]) => [path, data as Float32Array] as const);
    return { norms, arrays: { p: Object.fromEntries(arrays), ...state } };
  }

  it("lead to the same bits by any number of threads, and going on with another number", async () => {
    const expected = await trained(() => loopsHere);
    const ways = [
      ...forms.map(
        ({ loops }) =>
          () =>
            loops,
      ),
      (step: number) => forms[step + 1].loops,
    ];
    for (const way of ways) {
      const { norms, arrays } = await trained(way);
      expect(norms).toEqual(expected.norms);
      for (const [kind, own] of Object.entries(arrays)) {
        const others = expected.arrays[kind as keyof typeof arrays] ?? {};
        expect(Object.keys(own ?? {})).toEqual(Object.keys(others));
        for (const path in own) expect(bytesOf(own[path]).equals(bytesOf(others[path])), `${kind} ${path}`).toBe(true);
      }
    }
    expect(Object.keys(expected.arrays.average ?? {}).length > 0).toBe((config.ema ?? 0) > 0);
  });
});

const threadsOfProcess = () => readdirSync("/proc/self/task").length;

describe("threads", { timeout: 120_000 }, () => {
  const many = () => madeLoops("adamw", [60_000, 60_000]);

  it("are not started for one thread, nor for loops that are sooner done here", async () => {
    const script = new URL("data:text/javascript,process.exit(1)");
    for (const options of [{ threads: 1, share: 1 }, { threads: 8 }]) {
      const loops = new LoopThreads({ ...options, script });
      const [own, expected] = [many(), many()];
      for (let i = 0; i < 3; i++) {
        await loops.run(own);
        runHere(expected);
        await turn();
      }
      expectSameBits(own, expected, "alone");
      await loops.close();
    }
  });

  it("are one at a time, and none after closing", async () => {
    const loops = new LoopThreads({ threads: 2, share: 1 });
    const first = loops.run(many());
    const second = loops.run(many());
    await Promise.allSettled([first, second]);
    await first;
    await second.catch((error) => expect(String(error)).toContain("expected one run at a time"));
    await loops.close();
    await loops.close();
    await expect(loops.run(many())).rejects.toThrow("run after close");
  });

  it.runIf(process.platform === "linux")("are gone when they are closed, however often they begin", async () => {
    let before: number | undefined;
    for (let i = 0; i < 12; i++) {
      const loops = new LoopThreads({ threads: 3, share: 1 });
      for (let k = 0; k < 2; k++) await loops.run(many());
      await loops.close();
      before ??= threadsOfProcess();
    }
    expect(threadsOfProcess()).toBeLessThanOrEqual(before as number);
  });

  const taken = "const c = workerData.counters; while (!(Atomics.load(c, 1) > 0 && Atomics.sub(c, 1, 1) > 0));";
  it.each([
    [
      "ends before it has begun",
      "process.exit(3)",
      /failed \(it ended with status 3\); go on from the last checkpoint/,
    ],
    ["throws at its start", 'throw new Error("no such thing")', /failed \(no such thing\)/],
    ["dies in a part", `${taken} process.exit(137)`, /failed \(it ended with status 137\)/],
    ["throws in a part", `${taken} throw new Error("memory")`, /failed \(memory\)/],
  ])("of which one %s are one error", async (_, body, message) => {
    const script = new URL(
      `data:text/javascript,${encodeURIComponent(`import { workerData } from "node:worker_threads"; ${body}`)}`,
    );
    const loops = new LoopThreads({ threads: 2, share: 1, script });
    const failing = async () => {
      for (;;) {
        await loops.run(many());
        await turn();
      }
    };
    await expect(failing()).rejects.toMatchObject({ code: "engine", message: expect.stringMatching(message) });
    await expect(loops.run(many())).rejects.toThrow(message);
    await loops.close();
  });

  it.each([
    ["by themselves", "", 0],
    ["by process.exit", "process.exit(7);", 7],
    ["by an error", 'throw new Error("over");', 1],
  ])("do not keep a process that ends %s", async (_, end, status) => {
    const at = (file: string) => JSON.stringify(pathToFileURL(join(root, "dist/src/train", file)).href);
    const program = `
      const { LoopThreads } = await import(${at("loop-threads.node.js")});
      const loops = new LoopThreads({ threads: 3, share: 1 });
      const arrays = { sum: new Float32Array(1e6), x: new Float32Array(1e6).fill(1) };
      for (let i = 0; i < 20; i++) await loops.run([{ kernel: "add", arrays, factors: {}, length: 1e6 }]);
      console.log(arrays.sum.every((x) => x === 20));
      const last = loops.run([{ kernel: "add", arrays, factors: {}, length: 1e6 }]);
      ${end}`;
    const run = promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { timeout: 60_000 });
    const { stdout, code = 0 } = (await run.catch((error: { stdout: string; code: number }) => error)) as {
      stdout: string;
      code?: number;
    };
    expect({ stdout, code }).toEqual({ stdout: "true\n", code: status });
  });
});

it("are as many as the engine's on the CPU, where they can see its arrays", async () => {
  expect(hostLoops({ threads: 1 })).toBe(loopsHere);
  expect(hostLoops({ threads: 4, binding: "node" })).toBe(loopsHere);
  expect(hostLoops({ threads: 4, device: "webgpu" })).toBe(loopsHere);
  expect(hostLoops({ threads: 4, binding: "c-api" })).toBeInstanceOf(LoopThreads);
});
