/**
 * The state of decoding on the engine's device: programs take its tensors and leave new ones there. Changes between
 * programs (a new text, a copy, more rows) are made on the host: the state is read, changed and uploaded again.
 */
import { type DecodingArchitecture, entryShape } from "../nn/decoding.ts";
import type { DeviceTensor, DeviceTensorsByName, Engine } from "../runtime/engine.ts";
import type { DecodingState } from "./state.ts";

export class ResidentState {
  readonly #engine: Engine;
  readonly #architecture: DecodingArchitecture;
  readonly #host: DecodingState;
  #tensors: Record<string, DeviceTensor> = {};

  /** `host` holds the positions of the texts, and in its arrays the state while it is not on the device. */
  constructor(engine: Engine, architecture: DecodingArchitecture, host: DecodingState) {
    this.#engine = engine;
    this.#architecture = architecture;
    this.#host = host;
  }

  /** By `state.LAYER.NAME`; uploads what is not on the device. */
  async tensors(): Promise<DeviceTensorsByName> {
    const { arrays, texts, room } = this.#host;
    for (const [key, entry] of this.#architecture.state) {
      const shape = entryShape(entry, texts, room);
      this.#tensors[key] ??= await this.#engine.upload({ dtype: "float32", shape, data: arrays[key].slice() });
    }
    return this.#tensors;
  }

  /** Takes the new tensors of a program, `new.LAYER.NAME`, and releases those that they replace. */
  take(changed: DeviceTensorsByName): void {
    for (const [name, tensor] of Object.entries(changed)) {
      const key = name.replace(/^new/, "state");
      this.#tensors[key].release();
      this.#tensors[key] = tensor;
    }
  }

  /** Moves the state from the device to the arrays of the host. */
  async moveToHost(): Promise<void> {
    for (const [key, tensor] of Object.entries(this.#tensors)) {
      this.#host.arrays[key].set((await tensor.read()) as Float32Array);
      tensor.release();
    }
    this.#tensors = {};
  }

  release(): void {
    for (const tensor of Object.values(this.#tensors)) tensor.release();
    this.#tensors = {};
  }
}
