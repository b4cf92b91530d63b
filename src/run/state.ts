/** Training state as a checkpoint holds it, and back: m and v side by side in one file, counters in state.json. */
import { z } from "zod";
import type { HostTensor } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { sameShape, showShape } from "../base/shape.ts";
import type { CheckpointContent, FullCheckpoint } from "../checkpoint/checkpoints.node.ts";
import type { TrainingState } from "../train/loop.ts";
import type { FloatArrays } from "../train/optimizer.ts";

const countersSchema = z.object({
  updates: z.number().int().min(0),
  skippedInRow: z.number().int().min(0),
  seconds: z.number().min(0),
});

type Tensors = Readonly<Record<string, HostTensor>>;

export function storedState({
  step,
  parameters,
  optimizer,
  updates,
  skippedInRow,
  seconds,
}: TrainingState): CheckpointContent {
  const moments = (prefix: string, arrays: FloatArrays) =>
    Object.entries(arrays).map(([path, data]) => [
      `${prefix}.${path}`,
      { dtype: "float32", shape: parameters[path].shape, data } satisfies HostTensor,
    ]);
  return {
    step,
    model: parameters,
    optimizer: Object.fromEntries([...moments("m", optimizer.m), ...moments("v", optimizer.v)]),
    state: { updates, skippedInRow, seconds },
  };
}

/** The state of a checkpoint; its tensors must be those of `expected`. Throws `checkpoint` naming the first that is not. */
export function restoreState(
  { path, step, model, optimizer, state }: FullCheckpoint,
  expected: Tensors,
): TrainingState {
  const counters = countersSchema.safeParse(state);
  if (!counters.success)
    throw new LonghandError("checkpoint", `${path}/state.json: the training counters are missing or damaged`);
  requireTensors(model, expected, path);
  const moments = (prefix: string): FloatArrays => {
    const named = Object.fromEntries(Object.keys(expected).map((name) => [`${prefix}.${name}`, expected[name]]));
    const own = Object.fromEntries(Object.entries(optimizer).filter(([name]) => name.startsWith(`${prefix}.`)));
    requireTensors(own, named, path);
    return Object.fromEntries(
      Object.keys(expected).map((name) => [name, own[`${prefix}.${name}`].data as Float32Array]),
    );
  };
  return { parameters: { ...model }, optimizer: { m: moments("m"), v: moments("v") }, step, ...counters.data };
}

/** Throws unless both hold the same names, shapes and dtypes. */
export function requireTensors(found: Tensors, expected: Tensors, where: string): void {
  for (const [name, { shape, dtype }] of Object.entries(expected)) {
    const tensor = found[name];
    if (tensor === undefined) throw new LonghandError("checkpoint", `${where}: tensor ${name} is missing`);
    if (!sameShape(tensor.shape, shape) || tensor.dtype !== dtype) {
      throw new LonghandError(
        "checkpoint",
        `${where}: tensor ${name}: expected ${dtype}${showShape(shape)}, got ${tensor.dtype}${showShape(tensor.shape)}`,
      );
    }
  }
  for (const name of Object.keys(found)) {
    if (!(name in expected))
      throw new LonghandError("checkpoint", `${where}: tensor ${name} does not belong to this model`);
  }
}
