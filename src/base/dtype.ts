/** Element types of tensors and the typed arrays that hold them on the host. */
import type { Shape } from "./shape.ts";

export type DType = "float32" | "int32" | "bool";

export interface HostArrays {
  float32: Float32Array;
  int32: Int32Array;
  bool: Uint8Array;
}

export type HostArray = Float32Array | Int32Array | Uint8Array;

const arrayTypes = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

/** Whether an array is of the type that holds such elements. */
export function isArrayOf(dtype: DType, data: HostArray): boolean {
  return data instanceof arrayTypes[dtype];
}

/** Bytes of one element. */
export const bytesPerElement: Record<DType, number> = { float32: 4, int32: 4, bool: 1 };

export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** A host tensor: plain data with a shape, row-major. */
export interface HostTensor extends TensorType {
  readonly data: HostArray;
}

export function hostArray<D extends DType>(dtype: D, length: number): HostArrays[D] {
  const make: { [K in DType]: (n: number) => HostArrays[K] } = {
    float32: (n) => new Float32Array(n),
    int32: (n) => new Int32Array(n),
    bool: (n) => new Uint8Array(n),
  };
  return make[dtype](length);
}
