/** A model written with few operators, for graphics cards, has the loss and the gradients of one with few passes. */
import { afterAll, describe, expect, it } from "vitest";
import { expectClose } from "../../test/support/compare.ts";
import { randomKey, randomNormals } from "../base/random.ts";
import { documentsInWindows } from "../data/document-windows.ts";
import { parseModelConfig } from "../models/config.ts";
import { modelOf } from "../models/language-model.ts";
import { ortNodeEngine } from "../runtime/ort-node.ts";
import { trainingProgram } from "../train/objective.ts";

const engine = ortNodeEngine();
afterAll(() => engine.close());

const shape = { batch: 2, context: 24 };
const small = { vocabSize: 23, width: 16, layers: 2 };
const gated = { ...small, maxLength: shape.context, shared: 8, chunk: 8 };
const tokens = Int32Array.from({ length: shape.batch * shape.context }, (_, i) => (7 * i) % small.vocabSize);
const inDocuments = documentsInWindows({ tokens, context: shape.context, endOfText: 3 });
const models = {
  flash: { architecture: "flash", ...gated },
  "flash with documents": { architecture: "flash", ...gated, tokenShift: true },
  "flash without gate": { architecture: "flash", ...gated, gate: false, memory: "sum" },
  "flash-quad": { architecture: "flash-quad", ...gated },
  "transformer++": { architecture: "transformer++", ...small, heads: 2, ffn: 16 },
};

describe.each(Object.entries(models))("%s", (name, fields) => {
  it("computes the same with fewer operators", async () => {
    const model = modelOf(parseModelConfig(fields));
    const documents = name.includes("documents");
    const forms = (["passes", "operators"] as const).map(
      (fewest) => trainingProgram(model, shape, { dense: true, documents, fewest }).program,
    );
    const [passes, operators] = forms.map(({ nodes }) => nodes.filter(({ kind }) => kind === "operator").length);
    if (name.startsWith("flash")) expect(operators).toBeLessThan(0.85 * passes);
    else expect(operators).toBeLessThanOrEqual(passes);
    const values = Object.fromEntries(
      [...forms[0].inputs].map(([path, { dtype, size }]) => {
        if (dtype === "float32") return [path, randomNormals(randomKey(1, path), size, 0.3)];
        return [path, path === "documents" ? inDocuments : tokens];
      }),
    );
    const [expected, found] = await Promise.all(forms.map(async (graph) => (await engine.compile(graph)).run(values)));
    for (const [path] of forms[0].outputs) expectClose(found[path], expected[path], { name: path, tolerance: 1e-4 });
  });
});
