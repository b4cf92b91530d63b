/** The surprise of every token of a text, told while it is read, and perplexity against position at the end. */
import { setImmediate as turn } from "node:timers/promises";
import { score } from "../../run/score/score.ts";
import type { PortJob } from "../../service/job-port.ts";
import type { LoadedModel } from "../../use/loaded-model.ts";
import type { Studying } from "./protocol.ts";

type Answer = Studying["results"]["score"];

/** Tokens that are told together. */
const TOGETHER = 512;
/** The first range of positions; each further one is twice as far. */
const FIRST_RANGE = 16;

export async function scoreText(
  model: LoadedModel,
  text: string,
  { running, flush }: { readonly running: PortJob<Studying>; readonly flush: () => void },
): Promise<Answer> {
  const { signal, tell, unpaused } = running;
  const positions = new Positions();
  let texts: string[] = [];
  let bits: number[] = [];
  let told = 0;
  const tellTokens = async () => {
    if (texts.length > 0) tell({ type: "tokens", from: told, texts, bits });
    flush();
    told += texts.length;
    texts = [];
    bits = [];
    await turn(); // a cancellation must arrive
    await unpaused();
    signal.throwIfAborted();
  };
  let end: Answer | undefined;
  for await (const record of score(model, { text, tokens: true, signal })) {
    if (record.type === "token") {
      texts.push(record.text);
      bits.push(record.bits);
      positions.add(record.bits);
      if (texts.length >= TOGETHER) await tellTokens();
    } else if (record.type === "document") {
      const { tokens, bytes, bits, bitsPerByte, window } = record;
      const perplexity = 2 ** (bits / tokens);
      end = { type: "end", tokens, bytes, bits, perplexity, bitsPerByte, byPosition: positions.ranges, window };
    }
  }
  await tellTokens();
  return (
    end ?? { type: "end", tokens: 0, bytes: 0, bits: 0, perplexity: 1, bitsPerByte: 0, byPosition: [], window: null }
  );
}

/** Mean surprise in ranges of positions that double. */
class Positions {
  readonly #ranges: { from: number; to: number; bits: number; tokens: number }[] = [];
  #position = 0;

  add(bits: number): void {
    let range = this.#ranges.at(-1);
    if (range === undefined || this.#position === range.to) {
      const from = this.#position;
      range = { from, to: from === 0 ? FIRST_RANGE : 2 * from, bits: 0, tokens: 0 };
      this.#ranges.push(range);
    }
    range.bits += bits;
    range.tokens++;
    this.#position++;
  }

  get ranges(): Answer["byPosition"] {
    return this.#ranges.map(({ from, bits, tokens }) => {
      return { from, to: from + tokens, perplexity: 2 ** (bits / tokens) };
    });
  }
}
