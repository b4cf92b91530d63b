/** Low-rank adapters added to the linear maps that they were trained beside. */
import type { HostTensor } from "../base/dtype.ts";
import { type AdapterConfig, adapterPaths } from "../nn/scope.ts";

type Tensors = Readonly<Record<string, HostTensor>>;

export interface TrainedAdapter {
  readonly config: AdapterConfig;
  /** Its matrices A and B by path. */
  readonly tensors: Tensors;
}

/** Parameters to which adapters are added: every map W [in, out] is W + alpha / rank A B. Sums are float64, rounded once. */
export function withAdapters(parameters: Tensors, adapters: readonly TrainedAdapter[]): Tensors {
  const merged = Object.entries(parameters).map(([path, map]): [string, HostTensor] => {
    const { a, b } = adapterPaths(path);
    const own = adapters.filter(({ tensors }) => a in tensors);
    if (own.length === 0) return [path, map];
    const [inputs, outputs] = map.shape;
    const data = new Float32Array(inputs * outputs);
    const row = new Float64Array(outputs);
    for (let i = 0; i < inputs; i++) {
      row.set((map.data as Float32Array).subarray(i * outputs, (i + 1) * outputs));
      for (const { config, tensors } of own) {
        const { rank, alpha } = config;
        for (let k = 0; k < rank; k++) {
          const factor = (alpha / rank) * tensors[a].data[i * rank + k];
          for (let j = 0, at = k * outputs; j < outputs; j++, at++) row[j] += factor * tensors[b].data[at];
        }
      }
      data.set(row, i * outputs);
    }
    return [path, { ...map, data }];
  });
  return Object.fromEntries(merged);
}
