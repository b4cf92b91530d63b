/** The checksum of tensors by Node's hash. */
import type { HostTensor } from "../base/dtype.ts";
import { sha256 } from "../base/files.node.ts";
import * as digest from "./digest.ts";

/** SHA-256 of the names, types and bytes of tensors, in hexadecimal. */
export const digestOfTensors = (tensors: Readonly<Record<string, HostTensor>>): string =>
  digest.digestOfTensors(tensors, sha256);
