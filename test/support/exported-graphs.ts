/** The ONNX graphs of an export, run by onnxruntime-node itself, by the rules in the README of the export and no others. */
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import type { Decoder } from "../../src/generate/decoder.ts";

const int32 = (values: ArrayLike<number>) => new Tensor("int32", Int32Array.from(values), [values.length]);

/**
 * How products with 8-bit weights are computed: by default the runtime rounds the other factor to 8 bits too, and is faster;
 * in float32 it is told not to. Other weights know no difference.
 */
export type Products = "default" | "float32";

export function openGraph(folder: string, name: string, products: Products = "float32"): Promise<InferenceSession> {
  const extra = products === "float32" ? { session: { qdq_matmulnbits_accuracy_level: "1" } } : {};
  return InferenceSession.create(join(folder, `${name}.onnx`), { intraOpNumThreads: 1, extra });
}

function inputOf(session: InferenceSession, name: string): readonly number[] {
  const found = session.inputMetadata.find((input) => input.name === name);
  if (!found?.isTensor) throw new Error(`no input ${name}`);
  return found.shape.map(Number);
}

/** A decoder over decode.onnx, with prefill.onnx where that can be used; `prompts: "decode"` does without. */
export async function graphDecoder(
  folder: string,
  { prompts, products }: { readonly prompts: "prefill" | "decode"; readonly products?: Products },
): Promise<Decoder> {
  const open = (name: string) => openGraph(folder, name, products);
  const [decode, prefill, score] = [await open("decode"), await open("prefill"), await open("score")];
  const names = decode.inputNames.filter((name) => name.startsWith("state."));
  const [P] = inputOf(prefill, "tokens");
  const zeros = (): Record<string, Tensor> =>
    Object.fromEntries(
      names.map((name) => {
        const shape = inputOf(decode, name);
        return [name, new Tensor("float32", new Float32Array(shape.reduce((a, b) => a * b, 1)), shape)];
      }),
    );
  let state = zeros();
  let position = 0;
  const read = async (session: InferenceSession, tokens: ArrayLike<number>, more: Record<string, Tensor> = {}) => {
    const given = { ...state, ...more, tokens: int32(tokens), position: int32([position]) };
    const { logits, losses, ...after } = await session.run(given);
    state = Object.fromEntries(Object.entries(after).map(([name, t]) => [name.replace("new", "state"), t as Tensor]));
    position += tokens.length;
    return (logits ?? losses).data as Float32Array;
  };
  const decoder: Decoder = {
    vocabSize: Number(decode.outputMetadata[0].isTensor && decode.outputMetadata[0].shape[0]),
    maxLength: Number.POSITIVE_INFINITY,
    get position() {
      return position;
    },
    stateBytes: 0,
    step: (token) => read(decode, [token]),
    async absorb(tokens, { logits = "last" } = {}) {
      const all: Float32Array[] = [];
      for (let at = 0; at < tokens.length; ) {
        const whole = prompts === "prefill" && logits === "last" && position % P === 0 && tokens.length - at >= P;
        const part = Array.prototype.slice.call(tokens, at, at + (whole ? P : 1));
        all.push(await read(whole ? prefill : decode, part));
        at += part.length;
      }
      if (logits === "last") return all[all.length - 1];
      return Float32Array.from(all.flatMap((row) => [...row]));
    },
    async losses(tokens, targets) {
      const all: number[] = [];
      for (let at = 0; at < tokens.length; at += P) {
        const window = (from: ArrayLike<number>) => Array.from({ length: P }, (_, i) => from[at + i] ?? 0);
        const losses = await read(score, window(tokens), { targets: int32(window(targets)) });
        all.push(...losses.subarray(0, tokens.length - at));
      }
      return Float32Array.from(all);
    },
    fork: () => Promise.reject(new Error("not needed")),
    async reset() {
      state = zeros();
      position = 0;
    },
    async release() {
      for (const session of [decode, prefill, score]) await session.release();
    },
  };
  return decoder;
}
