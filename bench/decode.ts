/**
 * Decoding without a length limit: tokens a second at an early and at a late position of one text, in turn. Sampling is
 * not in it: the time is that of reading a token and having the logits of the next one.
 */
import { settle, withProcesses } from "../reproduce/process.ts";
import { ratios, type Spread, spread } from "../reproduce/statistics.ts";
import { nodeWorker, threads } from "./longhand.ts";
import { type Setup, trainingSetup, writeSetup } from "./setup.ts";

export interface DecodeReport {
  readonly model: Setup["model"];
  /** Of one measurement. */
  readonly tokens: number;
  /** Bytes of the decoder's state, the same at every position. */
  readonly stateBytes: number;
  readonly peakBytes: number;
  readonly positions: readonly {
    /** Of the first token read. */
    readonly position: number;
    readonly tokensPerSecond: Spread;
    /** Speed against the first position. */
    readonly ratio: Spread;
  }[];
  /** Several texts decoded together. */
  readonly batches: readonly {
    readonly texts: number;
    /** Of all texts. */
    readonly tokensPerSecond: Spread;
    /** Speed against one text. */
    readonly ratio: Spread;
  }[];
}

/** Chunk borders near 1,000 and 100,000: multiples of 256. */
const POSITIONS = [1024, 100_096];
/** Texts decoded together. */
const BATCHES = [1, 4, 16];

interface DecodeOptions {
  readonly rounds: number;
  readonly note: (text: string) => void;
}

export async function benchDecode({ rounds, note }: DecodeOptions): Promise<DecodeReport> {
  const setup = trainingSetup();
  const file = writeSetup(setup);
  try {
    const args = [file.path, String(threads()), ...POSITIONS.map(String)];
    return await withProcesses([nodeWorker("decode", "decode-worker.ts", args)], async ([worker]) => {
      note(`decode: reading ${POSITIONS.at(-1)} tokens`);
      const { stateBytes } = await worker.ready<{ stateBytes: number }>();
      let tokens = 0;
      /** Tokens a second of each command, in turn. */
      const measure = async (name: string, commands: readonly Readonly<Record<string, number>>[]) => {
        const rates = commands.map(() => [] as number[]);
        for (let round = 0; round <= rounds; round++) {
          for (let i = 0; i < commands.length; i++) {
            const turn = (round + i) % commands.length;
            await settle();
            const reply = await worker.ask<{ milliseconds: number; tokens: number }>(name, commands[turn]);
            tokens = reply.tokens;
            if (round > 0) rates[turn].push((1000 * reply.tokens) / reply.milliseconds); // round 0 is warm-up
          }
          if (round > 0) note(`${name}: round ${round} of ${rounds}`);
        }
        return rates.map((own) => ({ tokensPerSecond: spread(own), ratio: spread(ratios(own, rates[0])) }));
      };
      const positions = await measure(
        "decode",
        POSITIONS.map((position) => ({ position })),
      );
      const tokensOfOne = tokens;
      const batches = await measure(
        "together",
        BATCHES.map((texts) => ({ texts })),
      );
      const peakBytes = await worker.peakBytes();
      return {
        model: setup.model,
        tokens: tokensOfOne,
        ...{ stateBytes, peakBytes },
        positions: positions.map((measured, i) => ({ position: POSITIONS[i], ...measured })),
        batches: batches.map((measured, i) => ({ texts: BATCHES[i], ...measured })),
      };
    });
  } finally {
    file.remove();
  }
}
