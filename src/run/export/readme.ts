/** The README of an export: what it is, its files, its licence (the user's to fill in), and how programs use it. */
import type { ExportConfig } from "../../config/export-config.ts";
import type { WeightFormat } from "../../config/export-settings.ts";
import { parameterCount } from "../../models/language-model.ts";
import { architectureOf } from "../../models/registry.ts";
import { CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE } from "../../use/export-files.ts";
import { GRAPHS, graphsReadme } from "./readme-graphs.ts";
import { TORCH_MODULE } from "./torch-module.ts";

const ABOUT: Readonly<Record<string, string>> = {
  [WEIGHTS_FILE]: "the parameters by path",
  [TOKENIZER_FILE]: "byte-level BPE, in the format of Hugging Face's tokenizers",
  [TORCH_MODULE]: "the model as one PyTorch module",
  ...GRAPHS,
};

export function readmeOf({ longhand, step, model, training, files }: ExportConfig, weights: WeightFormat): string {
  const { label } = architectureOf(model);
  const { objective, context } = training;
  const rows = Object.entries(files).map(([name, { bytes }]) => {
    return `| \`${name}\` | ${bytes.toLocaleString("en-US")} | ${ABOUT[name]} |`;
  });
  return `# A ${label} model

Exported by Longhand ${longhand}. ${number(parameterCount(model))} parameters in ${model.layers} layers of width ${model.width}, ${number(model.vocabSize)} tokens; trained for ${number(step)} steps in a context of ${number(context)} tokens, ${objective === "causal" ? "to write texts on" : "to fill in the blanks of texts"}.

Licence: not given. (Whoever publishes this folder says here what may be done with it.)

| file | bytes | what it is |
| --- | ---: | --- |
| \`${CONFIG_FILE}\` | | the configuration of the model, and length and SHA-256 of the other files |
${rows.join("\n")}

## Longhand

On the command line, in this folder:

    ${objective === "causal" ? 'longhand generate . "It was" --tokens 100' : 'longhand fill . "It was a [MASK] night."'}

In Node:

\`\`\`js
${objective === "causal" ? GENERATE : FILL}
\`\`\`

In a web page, with the folder served as \`model/\`:

\`\`\`js
${objective === "causal" ? WEB_GENERATE : WEB_FILL}
\`\`\`

${graphsReadme({ model, training }, weights)}
## Python, with PyTorch

\`\`\`python
${objective === "causal" ? TORCH_GENERATE : TORCH_FILL}
\`\`\`
`;
}

const number = (value: number) => value.toLocaleString("en-US");

const GENERATE = `import { generate, loadModel } from "longhand/run";

const model = await loadModel(".");
for await (const piece of generate(model, { prompt: "It was", tokens: 100 })) {
  if (piece.type === "text") process.stdout.write(piece.text);
}
await model.close();`;

const FILL = `import { fill, loadModel } from "longhand/run";

const model = await loadModel(".");
const { text } = await fill(model, "It was a [MASK] night.");
console.log(text);
await model.close();`;

const WEB_GENERATE = `import { loadModel } from "longhand/web";

const model = await loadModel({ url: "model/" });
for await (const piece of model.generate({ prompt: "It was", tokens: 100 })) {
  if (piece.type === "text") document.body.append(piece.text);
}
model.close();`;

const WEB_FILL = `import { loadModel } from "longhand/web";

const model = await loadModel({ url: "model/" });
const { text } = await model.fill("It was a [MASK] night.");
document.body.append(text);
model.close();`;

const TORCH_GENERATE = `import longhand_model, torch
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("tokenizer.json")
model = longhand_model.load(".")
ids = torch.tensor([tokenizer.encode("It was").ids])
ids = longhand_model.generate(model, ids, 100)
print(tokenizer.decode(ids[0].tolist()))`;

const TORCH_FILL = `import longhand_model, torch
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("tokenizer.json")
model = longhand_model.load(".")
ids = torch.tensor([tokenizer.encode("It was a[MASK] night.").ids])
blank = ids[0].tolist().index(tokenizer.token_to_id("[MASK]"))
print(tokenizer.decode(model(ids)[0, blank].topk(5).indices.tolist()))`;
