/** What a step of generation costs, read off its program: see src/generate/decoder.test.ts for what it computes. */
import { describe, expect, it } from "vitest";
import { recordingEngine } from "../../test/support/decoding.ts";
import { createDecoder } from "../generate/decoder.ts";
import type { Program } from "../graph/program.ts";
import { initialise } from "../nn/scope.ts";
import { parseModelConfig } from "./config.ts";
import { decodingArchitecture } from "./decoding.ts";

/** The program of one step, and the state's bytes. */
async function stepOf(fields: object): Promise<{ step: Program; stateBytes: number }> {
  const sizes = { vocabSize: 500, width: 32, layers: 3, shared: 8, chunk: 64, maxLength: 64 };
  const architecture = decodingArchitecture(parseModelConfig({ architecture: "flash", ...sizes, ...fields }));
  const values = Object.entries(initialise(architecture.parameters, 1));
  const parameters = Object.fromEntries(values.map(([path, { data }]) => [path, data]));
  const { engine, programs } = recordingEngine();
  const decoder = await createDecoder({ engine, architecture, parameters });
  await expect(decoder.step(1)).rejects.toThrow("only the program");
  return { step: programs[0], stateBytes: decoder.stateBytes };
}

describe.each(["flash", "flash-quad"])("a step of %s", (architecture) => {
  it("reads each parameter and each state only in one product", async () => {
    const { step } = await stepOf({ architecture });
    for (const node of step.nodes) {
      if (node.kind === "constant") expect(node.outputs[0].size).toBeLessThanOrEqual(64); // row numbers of a span
      if (node.kind !== "operator") continue;
      expect(node.name).not.toBe("Transpose");
      const direct = node.inputs.filter(({ node: from, size }) => from.kind === "input" && size > 500);
      if (direct.length > 0) expect(["MatMul", "Gather"]).toContain(node.name);
    }
  });

  it("returns the logits and one row a layer, and keeps a state that does not grow", async () => {
    const { step, stateBytes } = await stepOf({ architecture });
    const [L, s, e, n] = [3, 8, 64, 64];
    const flash = architecture === "flash";
    const sizes = [...step.outputs].map(([name, tensor]) => [name, tensor.size]);
    expect(Object.fromEntries(sizes)).toEqual({ result: 500, changes: L * ((flash ? 2 * s : s) + e) });
    expect(stateBytes).toBe(4 * L * (flash ? 2 * n * s + n * e + 2 * s * e : n * s + n * e));
  });
});
