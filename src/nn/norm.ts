/** Pre-layer normalisation over the last axis: ScaleNorm (Nguyen and Salazar 2019) or LayerNorm (Ba et al. 2016). */
import { type Tensor, withGradient } from "../graph/tensor.ts";
import { sumOfRows } from "./linear.ts";
import type { Scope } from "./scope.ts";

export type NormKind = "scale" | "layer";

const EPSILON = 1e-5;

export function norm(scope: Scope, x: Tensor, kind: NormKind): Tensor {
  const width = x.shape[x.rank - 1];
  if (kind === "scale") return scaleNorm(x, scope.parameter("gain", [1], { constant: 1 }));
  return layerNorm(
    x,
    scope.parameter("gain", [width], { constant: 1 }),
    scope.parameter("bias", [width], { constant: 0 }),
  );
}

/** x over its root mean square, times one learned scalar gain [1]. */
export function scaleNorm(x: Tensor, gain: Tensor): Tensor {
  const inverse = x.mul(x).mean([-1]).add(EPSILON).sqrt().reciprocal(); // [..., 1]
  const factor = inverse.mul(gain);
  return withGradient(x.mul(factor), [x, gain], (g) => {
    const along = g.mul(x).mean([-1]).mul(inverse); // mean(g x) / rms
    const dx = g.mul(factor).sub(x.mul(along.mul(inverse).mul(factor)));
    return [
      dx,
      along
        .reshape([-1, 1])
        .sum([0])
        .reshape([1])
        .mul(x.shape[x.rank - 1]),
    ];
  });
}

/**
 * Zero mean, unit variance, then per-dimension gain and bias [width]: y = n gain + bias, n = (x - mean) / deviation.
 * With h = g gain and means over the width, dx = (h - mean(h) - n mean(h n)) / deviation. The means are products with
 * gain.
 */
export function layerNorm(x: Tensor, gain: Tensor, bias: Tensor): Tensor {
  const width = x.shape[x.rank - 1];
  const centred = x.sub(x.mean([-1]));
  const inverse = centred.mul(centred).mean([-1]).add(EPSILON).sqrt().reciprocal(); // [..., 1]
  const normal = centred.mul(inverse);
  return withGradient(normal.mul(gain).add(bias), [x, gain, bias], (g) => {
    const along = g.mul(normal);
    const meanOf = (t: Tensor) => t.matmul(gain.div(width).reshape([width, 1])); // of t gain, [..., 1]
    const factor = inverse.mul(meanOf(along));
    const dx = g.mul(gain).sub(meanOf(g)).mul(inverse).sub(normal.mul(factor));
    return [dx, sumOfRows(along), sumOfRows(g)];
  });
}
