/** The last hidden states that a reader returns are those of the forward pass in training, however the text is divided. */
import { describe, expect, it } from "vitest";
import { interpret } from "../../test/reference/interpreter.ts";
import { expectClose } from "../../test/support/compare.ts";
import { smallConfigs, textOf, wildParameters } from "../../test/support/decoding.ts";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { decodingArchitecture } from "../models/decoding.ts";
import { languageModel } from "../models/language-model.ts";
import { Scope } from "../nn/scope.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { readAll, Session } from "./session.ts";

const LENGTH = 37;

describe.each(Object.entries(smallConfigs))("%s", (name, config) => {
  it("returns the hidden states of every token", async () => {
    const parameters = wildParameters(config);
    const text = textOf(LENGTH);
    const tokens = input("tokens", [1, LENGTH], "int32");
    const { finalStates } = languageModel(new Scope(), tokens, config);
    const forward = program("states", { states: finalStates });
    const given = Object.entries(parameters).filter(([path]) => forward.inputs.has(path)); // without those of the logits
    const { states } = interpret(forward, { ...Object.fromEntries(given), tokens: text });
    const engine = ortNodeEngine();
    const session = new Session({ engine, architecture: decodingArchitecture(config), parameters });
    const reader = session.reader(1);
    const d = config.width;
    const actual = new Float32Array(LENGTH * d);
    for (const [from, to] of [
      [0, 3],
      [3, 4],
      [4, LENGTH],
    ]) {
      const request = { tokens: text.subarray(from, to), readout: "states" } as const;
      await readAll(reader, request, (result, at, count) => actual.set(result.subarray(0, count * d), (from + at) * d));
    }
    expectClose(actual, states.data, { name, tolerance: 1e-4, shape: [LENGTH, d] });
    expect(reader.state.position(0)).toBe(LENGTH);
    await engine.close();
  });
});
