/** A page that has the library for pages, for tests that use it from outside. */
import * as longhand from "../../../src/public/web.ts";

export type Longhand = typeof longhand;

/** What comes of a load: facts, or what is wrong as "code message"; the progress that was told. */
export interface Loaded {
  readonly facts?: longhand.ModelFacts;
  readonly problem?: string;
  readonly progress: readonly longhand.LoadProgress[];
}

export type LoadAndClose = typeof load;

async function load(place: longhand.ModelPlace, options: longhand.LoadModelOptions = {}): Promise<Loaded> {
  const progress: longhand.LoadProgress[] = [];
  try {
    const model = await longhand.loadModel(place, {
      ...options,
      onProgress(told) {
        progress.push(told);
        options.onProgress?.(told);
      },
    });
    model.close();
    return { facts: model.facts, progress };
  } catch (error) {
    const code = error instanceof longhand.LonghandError ? `${error.code} ` : "";
    return { problem: `${code}${error instanceof Error ? error.message : error}`, progress };
  }
}

Object.assign(globalThis, { longhand, load });
