/** A checksum of tensors, whatever file they come from and in whatever order. */
import type { HostTensor } from "../base/dtype.ts";
import type { Sha256 } from "./checkpoint-files.ts";

/** SHA-256 of the names, types and bytes of tensors, in hexadecimal. */
export function digestOfTensors(tensors: Readonly<Record<string, HostTensor>>, sha256: Sha256): string {
  const names = Object.keys(tensors).sort();
  const parts = names.flatMap((name): [string, Uint8Array] => {
    const { dtype, shape, data } = tensors[name];
    return [JSON.stringify([name, dtype, shape]), new Uint8Array(data.buffer, data.byteOffset, data.byteLength)];
  });
  return sha256(...parts);
}
