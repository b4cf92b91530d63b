/** Which graphs a model has, and that they share one state. What they compute: test/conformance/uses.test.ts. */
import { expect, it } from "vitest";
import { smallModel } from "../../test/support/small-model.ts";
import { exportedGraphs } from "./exported.ts";
import { architectureNames } from "./registry.ts";

const graphsOf = (name: string, causal = true) =>
  exportedGraphs(smallModel(name, { context: 64, vocabSize: 270, causal }), 64);

it("has a graph that writes where the state has a fixed size, else only one that scores", () => {
  const written = architectureNames().filter((name) => "decode" in graphsOf(name));
  expect(written).toEqual(["flash", "mc-tfm++", "performer"]);
  for (const name of architectureNames()) expect(Object.keys(graphsOf(name))).toContain("score");
  expect(Object.keys(graphsOf("flash", false))).toEqual(["fill"]);
});

it.each(["flash", "mc-tfm++", "performer"])("%s: every graph takes the whole state and returns it", (name) => {
  const states = Object.values(graphsOf(name)).map(({ program, branch }) => {
    const inputs = [...program.inputs.keys(), ...(branch?.program.inputs.keys() ?? [])];
    const outputs = [...program.outputs.keys(), ...(branch?.program.outputs.keys() ?? [])];
    const taken = [...new Set(inputs.filter((key) => key.startsWith("state.")))].sort();
    const given = outputs.filter((key) => key.startsWith("new.")).map((key) => key.replace("new", "state"));
    expect(given.sort()).toEqual(taken);
    expect(program.inputs.get("position")).toMatchObject({ dtype: "int32", shape: [1] });
    return taken;
  });
  expect(states[1]).toEqual(states[0]);
  expect(states[2]).toEqual(states[0]);
});
