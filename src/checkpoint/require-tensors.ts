/** Whether tensors that were read are those that are expected. */
import type { HostTensor, TensorType } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { sameShape, showShape } from "../base/shape.ts";

/** Throws `checkpoint` unless both hold the same names, shapes and dtypes. */
export function requireTensors(
  found: Readonly<Record<string, HostTensor>>,
  expected: Readonly<Record<string, TensorType>>,
  where: string,
): void {
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
    if (!Object.hasOwn(expected, name))
      throw new LonghandError("checkpoint", `${where}: tensor ${name} does not belong to this model`);
  }
}
