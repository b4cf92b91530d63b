/**
 * Texts decoded together against each decoded alone: at different positions, across closed spans, some resting; and the
 * state that programs return whole against the rows that the host stores.
 */
import { afterAll, describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { smallConfigs, textOf, V, wildParameters } from "../../test/support/decoding.ts";
import { decodingArchitecture } from "../models/decoding.ts";
import { type DecodingArchitecture, entryShape, newKey } from "../nn/decoding.ts";
import { angles } from "../nn/positions.ts";
import type { Engine } from "../runtime/engine.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { createBatchDecoder } from "./batch-decoder.ts";
import { createDecoder } from "./decoder.ts";

const engine = ortNodeEngine({ threads: 2 });
const apart = ortNodeEngine({ threads: 2 });
afterAll(async () => {
  await engine.close();
  await apart.close();
});
const tolerance = 1e-5;

describe.each(Object.entries(smallConfigs))("%s", (_, config) => {
  const parameters = wildParameters(config, 5);
  const architecture = decodingArchitecture(config);
  const options = { engine, architecture, parameters };

  it("three texts at once give what each gives alone", async () => {
    const batch = await createBatchDecoder({ ...options, texts: 3 });
    const alone = await Promise.all([1, 2, 3].map(() => createDecoder(options)));
    const texts = [1, 2, 3].map((seed) => textOf(50, seed));
    const check = (logits: Float32Array, text: number, expected: Float32Array) =>
      expectClose(logits.subarray(text * V, (text + 1) * V), expected, { name: `text ${text}`, tolerance });
    // The prompts end before, at and after a border of chunks of 8.
    for (const [text, length] of [5, 16, 19].entries()) {
      const prompt = texts[text].subarray(0, length);
      const logits = await batch.absorb(text, prompt);
      expectClose(logits, await alone[text].absorb(prompt), { name: `prompt ${text}`, tolerance });
    }
    for (let i = 0; i < 24; i++) {
      const next = texts.map((own, text) => (i % 5 === text ? undefined : own[batch.position(text)]));
      const logits = (await batch.step(next)).slice();
      for (const [text, token] of next.entries()) {
        if (token !== undefined) check(logits, text, await alone[text].step(token));
      }
    }
    expect(texts.map((_, text) => batch.position(text))).toEqual(alone.map(({ position }) => position));

    // One text starts again, another becomes a copy of the third.
    await batch.reset(0);
    await alone[0].reset();
    await batch.copy(2, 1);
    const fork = await alone[2].fork();
    for (let i = 0; i < 10; i++) {
      const next = [texts[0][i], texts[1][i], texts[2][i]];
      const logits = (await batch.step(next)).slice();
      check(logits, 0, await alone[0].step(next[0]));
      check(logits, 1, await fork.step(next[1]));
      check(logits, 2, await alone[2].step(next[2]));
    }
    await batch.release();
    for (const decoder of alone) await decoder.release();
  });

  it("a state that stays on the device is the one that the host stores", async () => {
    const resident = onDevice(apart);
    const [host, device] = await Promise.all([
      createBatchDecoder({ ...options, texts: 2 }),
      createBatchDecoder({ ...options, engine: resident, texts: 2 }),
    ]);
    const text = textOf(60, 3);
    for (const decoder of [host, device]) {
      await decoder.absorb(0, text.subarray(0, 5));
      await decoder.absorb(1, text.subarray(0, 19));
    }
    const before = resident.traffic.received;
    for (let i = 0; i < 20; i++) {
      const next = [text[5 + i], i % 3 === 0 ? undefined : text[20 + i]];
      expectClose(await device.step(next), (await host.step(next)).slice(), { name: `step ${i}`, tolerance });
    }
    expect(resident.traffic.received - before).toBe(20 * 2 * V * 4); // logits alone
    for (const decoder of [host, device]) {
      await decoder.copy(1, 0);
      await decoder.reset(1);
    }
    const next = [text[40], text[0]];
    expectClose(await device.step(next), (await host.step(next)).slice(), { name: "after a copy", tolerance });
    await host.release();
    await device.release();
  });

  it("the state that programs return whole is that of the rows stored by the host", async () => {
    const decoder = await createDecoder(options);
    const text = textOf(21, 7);
    const logits = readWhole(architecture, parameters, text);
    for (const [at, token] of text.entries()) {
      expectClose(logits[at], await decoder.step(token), { name: `position ${at}`, tolerance });
    }
    await decoder.release();
  });
});

it("refuses texts and tokens that do not exist, and stays unchanged", async () => {
  const config = smallConfigs.flash;
  const options = { engine, architecture: decodingArchitecture(config), parameters: wildParameters(config) };
  await expect(createBatchDecoder({ ...options, texts: 0 })).rejects.toThrow(
    "texts: expected a whole number of 1 or more",
  );
  const batch = await createBatchDecoder({ ...options, texts: 2 });
  await expect(batch.step([1])).rejects.toThrow("expected one for some of 2 texts, got 1 of 1");
  await expect(batch.step([undefined, undefined])).rejects.toThrow("got 0 of 2");
  await expect(batch.step([1, V])).rejects.toThrow(`tokens[1]: expected a token from 0 to ${V - 1}, got ${V}`);
  await expect(batch.absorb(2, [1])).rejects.toThrow("text: expected a text from 0 to 1, got 2");
  await expect(batch.copy(0, -1)).rejects.toThrow("to: expected a text from 0 to 1, got -1");
  expect([batch.position(0), batch.position(1)]).toEqual([0, 0]);
  await batch.release();
  await expect(batch.step([1, 1])).rejects.toThrow("decoder: used after release");
});

/** The CPU's engine as one whose device is apart: tensors that stay are passed from program to program. */
function onDevice(cpu: Engine): Engine {
  return {
    device: "webgpu",
    threads: cpu.threads,
    separateMemory: true,
    get traffic() {
      return cpu.traffic;
    },
    compile: (program, options) => cpu.compile(program, options),
    compileResident: (program, resident, options) => cpu.compileResident(program, resident, options),
    upload: (tensor) => cpu.upload(tensor),
    close: () => cpu.close(),
  };
}

/**
 * Logits after each token of one text, by programs whose state goes in and comes out whole, run by the float64
 * interpreter: all that a program of another runtime has to do.
 */
function readWhole(
  architecture: DecodingArchitecture,
  parameters: Record<string, Float32Array>,
  text: Int32Array,
): Float64Array[] {
  const room = { tokens: 0, spans: 0 };
  const state = Object.fromEntries(
    [...architecture.state].map(([key, entry]) => {
      const size = entryShape(entry, 1, room).reduce((product, n) => product * n, 1);
      return [key, new Float64Array(size).fill(entry.initial)];
    }),
  );
  const { span, width, rotaryPairs } = architecture;
  return Array.from(text, (token, at) => {
    const places = angles(at, 1, width / 2);
    const rotations = angles(at, 1, rotaryPairs);
    const open = Number.isFinite(span) ? at % span : at;
    const given: Record<string, ArrayLike<number>> = {
      ...parameters,
      ...state,
      tokens: Int32Array.of(token),
      ...{ open: [open], position: [at], closed: [Math.floor(at / span)], count: [1] },
      ...{ "position.cos": places.cos, "position.sin": places.sin },
      ...{ "rotation.cos": rotations.cos, "rotation.sin": rotations.sin },
    };
    const run = ({ program, changed }: ReturnType<DecodingArchitecture["step"]>) => {
      const inputs = Object.fromEntries([...program.inputs.keys()].map((name) => [name, given[name]]));
      const outputs = interpret(program, inputs);
      for (const { key } of changed) state[key] = Float64Array.from(outputs[newKey(key)].data);
      return outputs;
    };
    const request = { texts: 1, tokens: 1, padded: false, readout: "last", room, whole: true } as const;
    const { result } = run(architecture.step(request));
    if (architecture.close && (at + 1) % span === 0) {
      for (const key of Object.keys(state)) given[key] = state[key];
      given.closed = [Math.floor(at / span)];
      run(architecture.close(request));
    }
    return Float64Array.from(result.data);
  });
}
