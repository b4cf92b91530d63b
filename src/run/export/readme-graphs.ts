/** What the README of an export says of its ONNX graphs: their rules, and some ten lines for Node, the web and Python. */
import type { WeightFormat } from "../../config/export-settings.ts";
import type { TrainedConfig } from "../../config/trained-config.ts";
import { BLANKS, decodingInFixedState, exportedSpan } from "../../models/exported.ts";
import { architectureOf } from "../../models/registry.ts";

type Config = Pick<TrainedConfig, "model" | "training">;

export const GRAPHS: Readonly<Record<string, string>> = {
  "decode.onnx": "ONNX graph: reads one token",
  "prefill.onnx": "ONNX graph: reads many tokens of a prompt at once",
  "score.onnx": "ONNX graph: what each token of a text costs",
  "fill.onnx": "ONNX graph: what could stand in blanks",
};

/** The section on ONNX. */
export function graphsReadme({ model, training }: Config, weights: WeightFormat): string {
  const { context } = training;
  const section = (rules: string, programs: Programs) =>
    sectionOf(weights === "int8" ? `${rules}\n${EIGHT_BITS}` : rules, programs);
  if (!model.causal) return section(FILL_RULES(context), FILLING(context));
  const architecture = decodingInFixedState(model);
  if (architecture) {
    const { span } = architecture;
    return section(STATE_RULES({ span, tokens: exportedSpan(architecture), vocabSize: model.vocabSize }), GENERATING);
  }
  return section(WINDOW_RULES(context, architectureOf(model).label), SCORING(context));
}

const EIGHT_BITS =
  "- On a CPU, onnxruntime rounds what it multiplies with 8-bit weights to 8 bits too; with the session option `session.qdq_matmulnbits_accuracy_level` = `1` it computes in float32.";

interface Programs {
  readonly node: string;
  readonly web: string;
  readonly python: string;
}

function sectionOf(rules: string, { node, web, python }: Programs): string {
  return `## ONNX

The graphs have operators of the standard alone (operator set 21). Their weights are in \`model.safetensors\`, which must lie beside them. Token ids and positions are int32, everything else is float32.

${rules}

## ONNX in Node

With the packages \`onnxruntime-node\` and \`tokenizers\`:

\`\`\`js
${node}
\`\`\`

## ONNX on the web

With the packages \`onnxruntime-web\` and \`@huggingface/tokenizers\`; the folder is served as \`model/\`:

\`\`\`js
${web}
\`\`\`

## ONNX in Python

With the packages \`onnxruntime\`, \`tokenizers\` and \`numpy\`:

\`\`\`python
${python}
\`\`\`
`;
}

const STATE_RULES = ({ span, tokens, vocabSize }: Readonly<Record<"span" | "tokens" | "vocabSize", number>>) =>
  `- \`decode.onnx\`: \`tokens\` [1] and its \`position\` [1] in the text, from 0 on, to \`logits\` [${vocabSize}] of the token after it.
- \`prefill.onnx\` does the same with ${tokens} tokens of a prompt at once, where \`position\`, that of the first of them, is a multiple of ${span}; \`logits\` are those after the last.
- \`score.onnx\` takes \`targets\` [${tokens}] too, the token after each, and returns \`losses\` [${tokens}], each -log p(target) in nats. At the end of a text pad both with any token: what comes later changes nothing before it.
- All three take the state of a text, \`state.LAYER.NAME\`, and return the next one, \`new.LAYER.NAME\`, of the same size at every position. A text begins with zeros. Copy a state to go on from it twice.`;

const WINDOW_RULES = (context: number, label: string) =>
  `- \`score.onnx\`: \`tokens\` [${context}] and \`targets\` [${context}], the token after each, to \`losses\` [${context}], each -log p(target) in nats. At the end of a text pad both with any token: what comes later changes nothing before it.
- There is no graph that writes: what a ${label} keeps of a text grows with it, and the sizes of a graph are fixed.`;

const FILL_RULES = (context: number) =>
  `- \`fill.onnx\`: \`tokens\` [${context}], of which the first \`length\` [1] are text, with the mask token at each blank, and \`blanks\` [${BLANKS}], where the blanks are (fill up with 0), to \`logits\` [${BLANKS}, tokens of the vocabulary] at these places.`;

const JS_GENERATE = `const int32 = (value) => new ort.Tensor("int32", Int32Array.of(value), [1]);
let state = Object.fromEntries(decode.inputMetadata.filter(({ name }) => name.startsWith("state.")).map(({ name, shape }) =>
  [name, new ort.Tensor("float32", new Float32Array(shape.reduce((a, b) => a * b)), shape)]));
for (let position = 0; position < 100; position++) {
  const { logits, ...after } = await decode.run({ ...state, tokens: int32(ids[position]), position: int32(position) });
  state = Object.fromEntries(Object.entries(after).map(([name, value]) => [name.replace("new", "state"), value]));
  if (position + 1 === ids.length) ids.push(logits.data.indexOf(Math.max(...logits.data)));
}`;

const NODE = `import * as ort from "onnxruntime-node";
import { Tokenizer } from "tokenizers";
const tokenizer = Tokenizer.fromFile("tokenizer.json");`;

const webOf = (graph: string) => `import * as ort from "onnxruntime-web";
import { Tokenizer } from "@huggingface/tokenizers";
const tokenizer = new Tokenizer(await (await fetch("model/tokenizer.json")).json(), {});
const externalData = [{ path: "model.safetensors", data: "model/model.safetensors" }];
const ${graph} = await ort.InferenceSession.create("model/${graph}.onnx", { externalData });`;

const PYTHON = `import numpy as np, onnxruntime
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file("tokenizer.json")`;

const GENERATING: Programs = {
  node: `${NODE}
const ids = (await tokenizer.encode("It was")).getIds();
const decode = await ort.InferenceSession.create("decode.onnx");
${JS_GENERATE}
console.log(await tokenizer.decode(ids, true));`,
  web: `${webOf("decode")}
const { ids } = tokenizer.encode("It was");
${JS_GENERATE}
console.log(tokenizer.decode(ids));`,
  python: `${PYTHON}
ids = tokenizer.encode("It was").ids
decode = onnxruntime.InferenceSession("decode.onnx")
state = {i.name: np.zeros(i.shape, np.float32) for i in decode.get_inputs() if i.name.startswith("state.")}
for position in range(100):
    at = {"tokens": np.array([ids[position]], np.int32), "position": np.array([position], np.int32)}
    after = dict(zip([o.name.replace("new", "state") for o in decode.get_outputs()], decode.run(None, {**state, **at})))
    logits, state = after.pop("logits"), after
    if position + 1 == len(ids): ids.append(int(logits.argmax()))
print(tokenizer.decode(ids))`,
};

const jsScore = (
  context: number,
) => `const padded = (part) => new ort.Tensor("int32", Int32Array.from({ length: ${context} }, (_, i) => part[i] ?? 0), [${context}]);
const { losses } = await score.run({ tokens: padded(ids), targets: padded(ids.slice(1)) });
console.log(losses.data.slice(0, ids.length - 1));`;

const SCORING = (context: number): Programs => ({
  node: `${NODE}
const ids = (await tokenizer.encode("It was a dark night.")).getIds();
const score = await ort.InferenceSession.create("score.onnx");
${jsScore(context)}`,
  web: `${webOf("score")}
const { ids } = tokenizer.encode("It was a dark night.");
${jsScore(context)}`,
  python: `${PYTHON}
ids = tokenizer.encode("It was a dark night.").ids
score = onnxruntime.InferenceSession("score.onnx")
tokens, targets = np.zeros((2, ${context}), np.int32)
tokens[: len(ids)], targets[: len(ids) - 1] = ids, ids[1:]
[losses] = score.run(["losses"], {"tokens": tokens, "targets": targets})
print(losses[: len(ids) - 1])`,
});

const jsFill = (
  context: number,
) => `const int32 = (values, n) => new ort.Tensor("int32", Int32Array.from({ length: n }, (_, i) => values[i] ?? 0), [n]);
const blank = ids.indexOf(mask);
const { logits } = await fill.run({ tokens: int32(ids, ${context}), length: int32([ids.length], 1), blanks: int32([blank], ${BLANKS}) });
const likeliest = [...logits.data.slice(0, logits.dims[1]).keys()].sort((a, b) => logits.data[b] - logits.data[a]);`;

const FILLING = (context: number): Programs => ({
  node: `${NODE}
const ids = (await tokenizer.encode("It was a[MASK] night.")).getIds();
const mask = await tokenizer.tokenToId("[MASK]");
const fill = await ort.InferenceSession.create("fill.onnx");
${jsFill(context)}
console.log(await tokenizer.decode(likeliest.slice(0, 5), true));`,
  web: `${webOf("fill")}
const { ids } = tokenizer.encode("It was a[MASK] night.");
const mask = tokenizer.token_to_id("[MASK]");
${jsFill(context)}
console.log(tokenizer.decode(likeliest.slice(0, 5)));`,
  python: `${PYTHON}
ids = tokenizer.encode("It was a[MASK] night.").ids
fill = onnxruntime.InferenceSession("fill.onnx")
tokens, blanks = np.zeros(${context}, np.int32), np.zeros(${BLANKS}, np.int32)
tokens[: len(ids)], blanks[0] = ids, ids.index(tokenizer.token_to_id("[MASK]"))
[logits] = fill.run(["logits"], {"tokens": tokens, "length": np.array([len(ids)], np.int32), "blanks": blanks})
print(tokenizer.decode(logits[0].argsort()[::-1][:5].tolist()))`,
});
