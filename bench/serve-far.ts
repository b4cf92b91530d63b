/**
 * Decoding one text at far positions: FLASH, whose state has one size, beside Transformer++ of the same preset, whose keys and
 * values grow. States of zeros stand for a text that was read: how long a step takes does not depend on what is in them.
 */
import { join } from "node:path";
import { settle, turns } from "../reproduce/process.ts";
import { ratios, type Spread, spread } from "../reproduce/statistics.ts";
import { sizeOf } from "../src/base/shape.ts";
import { Session } from "../src/generate/session.ts";
import { DecodingState } from "../src/generate/state.ts";
import { decodingArchitecture } from "../src/models/decoding.ts";
import { entryShape } from "../src/nn/decoding.ts";
import { loadModel } from "../src/run/use/model.ts";

export type FarPositions = readonly {
  readonly position: number;
  readonly flash: Spread;
  readonly transformer: Spread;
  /** FLASH over Transformer++, round by round. */
  readonly ratio: Spread;
}[];

const POSITIONS = [8192, 100_000];
const STEPS = 24;

export async function measureFar(
  folder: string,
  { rounds, note }: { readonly rounds: number; readonly note: (text: string) => void },
): Promise<FarPositions> {
  const results: FarPositions[number][] = [];
  for (const position of POSITIONS) {
    const sides = await Promise.all(["flash", "transformer++"].map((name) => sideAt(join(folder, name), position)));
    const rates = sides.map(() => [] as number[]);
    for (const side of sides) await side.steps(); // compiles
    for (let round = 0; round < rounds; round++) {
      for (const turn of turns(2, round)) {
        await settle();
        rates[turn].push(await sides[turn].steps());
      }
      note(`serve: position ${position}, round ${round + 1} of ${rounds}`);
    }
    for (const side of sides) await side.close();
    const [flash, transformer] = rates;
    results.push({
      ...{ position, flash: spread(flash), transformer: spread(transformer) },
      ratio: spread(ratios(flash, transformer)),
    });
  }
  return results;
}

/** A text of so many tokens; `steps` reads some more and returns tokens a second. */
async function sideAt(path: string, position: number) {
  const model = await loadModel(path);
  const architecture = decodingArchitecture(model.config.model);
  const parameters = Object.fromEntries(Object.entries(model.parameters).map(([name, { data }]) => [name, data]));
  const session = new Session({ engine: model.engine, architecture, parameters });
  const reader = session.reader(1);
  const room = new DecodingState(architecture, 1).roomFor([position]);
  const zeros = [...architecture.state].map(([key, entry]) => {
    const shape = entryShape(entry, 1, room);
    return [key, { dtype: "float32", shape, data: new Float32Array(sizeOf(shape)) }] as const;
  });
  reader.state.copyFrom(DecodingState.restored(architecture, position, Object.fromEntries(zeros)), 0, 0);
  return {
    async steps() {
      const begun = performance.now();
      for (let i = 0; i < STEPS; i++) await reader.read({ tokens: [Int32Array.of(i)], readout: "last" });
      return (1000 * STEPS) / (performance.now() - begun);
    },
    async close() {
      await session.release();
      await model.close();
    },
  };
}
