/**
 * The vocabulary of an imported model: its own tokenizer, with the special tokens of ours that it has not, and a row for each
 * of those in the tables of the model.
 */
import { isRecord, parseJsonObject } from "../../base/checked-json.ts";
import type { HostTensor } from "../../base/dtype.ts";
import { LonghandError } from "../../base/errors.ts";
import { readText } from "../../checkpoint/read.node.ts";
import { byteCharacters } from "../../data/byte-level.ts";
import { type TextTokenizer, tokenizerFromJson } from "../../data/tokenizer.node.ts";
import { SPECIAL_TOKENS } from "../../data/tokenizer.ts";
import { untrainedTokenizerJson } from "../../data/tokenizer-file.ts";
import type { ModelConfig } from "../../models/architecture.ts";

/** The logit of a token that the model does not know: after softmax its probability is 0. */
const NEVER = -1e4;
const NEWLINE = 10;

/** `from` is a tokenizer.json, or `bytes`: token n is the byte n. Throws "data" for one of another kind or size. */
export async function importedTokenizer(from: string, vocabSize: number): Promise<TextTokenizer> {
  const text = from === "bytes" ? bytesJson() : await readText(from);
  const refuse = (problem: string): never => {
    throw new LonghandError("data", `tokenizer: ${from}: ${problem}`);
  };
  const file = parseJsonObject(text, refuse);
  const { model } = file;
  const vocab = isRecord(model) && isRecord(model.vocab) ? model.vocab : refuse("it has no model.vocab");
  const given: unknown[] = Array.isArray(file.added_tokens) ? file.added_tokens : [];
  const added = given.flatMap((token) => (isRecord(token) ? [token] : []));
  const known = new Set([...Object.keys(vocab), ...added.map(({ content }) => content)]);
  if (known.size !== vocabSize) refuse(`expected the ${vocabSize} tokens of the model, got ${known.size}`);
  const missing = Object.values(SPECIAL_TOKENS).filter((name) => !known.has(name));
  const more = missing.map((content, i) => ({
    ...{ id: vocabSize + i, content, single_word: false, lstrip: false, rstrip: false, normalized: false },
    special: true,
  }));
  return tokenizerFromJson(JSON.stringify({ ...file, added_tokens: [...added, ...more] }), from);
}

function bytesJson(): string {
  const file = parseJsonObject(untrainedTokenizerJson(), () => {
    throw new Error("the empty tokenizer is no JSON");
  });
  const vocab = Object.fromEntries(byteCharacters().map((character, byte) => [character, byte]));
  return JSON.stringify({ ...file, model: { ...(file.model as object), vocab } });
}

interface Model {
  readonly model: ModelConfig;
  readonly parameters: Readonly<Record<string, HostTensor>>;
}

/**
 * The model with so many tokens: those after its own are never predicted, and read like the token 10 (of bytes the end of a
 * line), or the first where there are fewer.
 */
export function withTokens({ model, parameters }: Model, vocabSize: number): Model {
  const more = vocabSize - model.vocabSize;
  if (more === 0) return { model, parameters };
  const d = model.width;
  const read = model.vocabSize > NEWLINE ? NEWLINE : 0;
  const extended = (name: string, row: ArrayLike<number>): HostTensor => {
    const { data } = parameters[name];
    const all = new Float32Array(data.length + more * row.length);
    all.set(data as Float32Array);
    for (let i = 0; i < more; i++) all.set(row, data.length + i * row.length);
    return { dtype: "float32", shape: row.length === 1 ? [vocabSize] : [vocabSize, d], data: all };
  };
  const table = parameters["embedding.weight"].data as Float32Array;
  return {
    model: { ...model, vocabSize },
    parameters: {
      ...parameters,
      "embedding.weight": extended("embedding.weight", table.subarray(read * d, (read + 1) * d)),
      "logits.weight": extended("logits.weight", new Float32Array(d)),
      "logits.bias": extended("logits.bias", [NEVER]),
    },
  };
}
