/** A page that takes training steps in its own thread: for tests of the engine alone. */
import { type OrtWebOptions, ortWebEngine } from "../../../src/runtime/ort-web.ts";
import { type Trained, type TrainingSteps, trainingSteps } from "../training-steps.ts";

export interface TrainingPage {
  train(options: OrtWebOptions, steps: TrainingSteps): Promise<Trained>;
}

const harness: TrainingPage = {
  async train(options, steps) {
    const { engine } = await ortWebEngine(options);
    const trained = await trainingSteps(engine, steps);
    await engine.close();
    return trained;
  },
};
Object.assign(globalThis, { harness });
