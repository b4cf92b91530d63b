/**
 * Linear maps: x [..., in] @ weight [in, out] + bias [out], with hand-written gradients that need fewer and better
 * shaped products than the derived ones.
 */
import { sizeOf } from "../base/shape.ts";
import { concat, constant, input, type Tensor, withGradient, withGradients } from "../graph/tensor.ts";
import { type Fewest, type LowRank, type Scope, turnedPath } from "./scope.ts";

interface LinearParameters {
  /** [in, out] */
  readonly weight: Tensor;
  /** [out] */
  readonly bias: Tensor;
  /** Adapters that are in `weight`, side by side: then they have gradients, and the weight has none. */
  readonly adapters?: readonly LowRank[];
  /** Of the scope that they belong to. Default: passes. */
  readonly fewest?: Fewest;
  /** The weight as [out, in], where it is given so for products with few rows. */
  readonly turned?: Tensor;
}

export const weightStarts = ["normal", "zero"] as const;
/** Where weights start: at normal numbers of variance 1 / in, or at zero. */
export type WeightStart = (typeof weightStarts)[number];

/** `outputs` of one map, or of several side by side. Biases start at zero. */
export function linearParameters(
  scope: Scope,
  inputs: number,
  outputs: number | readonly number[],
  start: WeightStart = "normal",
): LinearParameters {
  const initial = start === "zero" ? { constant: 0 } : { normal: 1 / Math.sqrt(inputs) };
  const map = typeof outputs === "number" ? [outputs] : outputs;
  const columns = map.reduce((sum, width) => sum + width);
  const weight = scope.parameter("weight", [inputs, columns], initial, { map });
  const adapter = scope.adapterOf("weight");
  return {
    ...{ weight, bias: scope.parameter("bias", [columns], { constant: 0 }), fewest: scope.fewest },
    ...(adapter && { adapters: [adapter] }),
    ...(scope.turned && { turned: input(turnedPath(scope.at("weight").path), [columns, inputs]) }),
  };
}

export function linear(scope: Scope, x: Tensor, outputs: number, start?: WeightStart): Tensor {
  return splitLinear(x, linearParameters(scope, x.shape[x.rank - 1], outputs, start), [outputs])[0];
}

/**
 * One linear map, then an element-wise activation, then a split into the given widths, [..., sizes[i]] each. With many
 * rows the weight is split instead, since that costs less than splitting activations, with a product for each part; in
 * the backward pass the gradients are concatenated, since one product with all columns is faster than a sum of several.
 * With few rows (hasFewRows), or where operators are to be few, the result itself is split.
 */
export function splitLinear(
  x: Tensor,
  { weight, bias, adapters = [], fewest = "passes", turned }: LinearParameters,
  sizes: readonly number[],
  activation: (t: Tensor) => Tensor = (t) => t,
): readonly Tensor[] {
  if (turned && hasFewRows(x)) {
    const product = timesTransposed(rows(x), turned).add(bias);
    return activation(product.reshape([...x.shape.slice(0, -1), bias.size])).split(-1, sizes);
  }
  const inParts = sizes.length > 1 && fewest === "passes" && !hasFewRows(x);
  const widths = inParts ? sizes : [weight.shape[1]];
  const weights = weight.split(1, widths);
  const biases = bias.split(0, widths);
  const parts = weights.map((w, i) => x.matmul(w).add(biases[i]));
  const trained = adapters.length > 0 ? adapters.flatMap(({ a, b }) => [a, b]) : [weight];
  const activated = withGradients(parts, [x, ...trained, bias], (gradients) => {
    const g = concat(gradients, -1); // [..., out]
    const gRows = rows(g); // [N, out]
    const dX = g.matmul(weight.swapLast());
    const ofMap = adapters.length > 0 ? adapterGradients(rows(x), gRows, adapters) : [weightGradient(rows(x), gRows)];
    return [dX, ...ofMap, sumOfRows(gRows)];
  }).map(activation);
  return inParts ? activated : activated[0].split(-1, sizes);
}

/** Several maps of one input: one product with concatenated weights, or with few rows (hasFewRows) one each. */
export function linearMaps(x: Tensor, maps: readonly LinearParameters[]): readonly Tensor[] {
  const sizes = maps.map(({ bias }) => bias.size);
  if (hasFewRows(x)) return maps.flatMap((map, i) => splitLinear(x, map, [sizes[i]]));
  const [weights, biases] = [maps.map(({ weight }) => weight), maps.map(({ bias }) => bias)];
  const [{ fewest }] = maps;
  const adapters = maps.flatMap(({ adapters = [] }) => adapters);
  const all = { weight: concat(weights, 1), bias: concat(biases, 0), adapters, ...(fewest && { fewest }) };
  return splitLinear(x, all, sizes);
}

/**
 * Whether x [..., width] has so few rows, as in a step of decoding, that most of the cost of a linear map is reading
 * its weights: then they should be neither split nor concatenated, since both copy them. Far below the rows of any
 * training: the products of the two ways round differently.
 */
export function hasFewRows(x: Tensor): boolean {
  const width = x.shape[x.rank - 1];
  return 8 * x.size <= width * width;
}

/**
 * Of each a and b, from x [N, in] and g [N, out]: s xᵀ (g bᵀ) and s (x a)ᵀ g, which cost far less than xᵀ g, the gradient of
 * the map that they are added to.
 */
function adapterGradients(x: Tensor, g: Tensor, adapters: readonly LowRank[]): Tensor[] {
  const parts = g.split(
    1,
    adapters.map(({ b }) => b.shape[1]),
  );
  return adapters.flatMap(({ a, b, scale }, i) => [
    weightGradient(x, parts[i].matmul(b.swapLast())).mul(scale),
    weightGradient(x.matmul(a), parts[i]).mul(scale),
  ]);
}

/** xᵀ g of x [N, in] and g [N, out], transposing the side that costs less. */
function weightGradient(x: Tensor, g: Tensor): Tensor {
  const [count, inputs] = x.shape;
  const outputs = g.shape[1];
  return count * outputs + inputs * outputs < count * inputs
    ? g.swapLast().matmul(x).swapLast()
    : x.swapLast().matmul(g);
}

/** x [..., width] * gain [width] + offset [width], column by column. */
export function scaleAndShift(x: Tensor, gain: Tensor, offset: Tensor): Tensor {
  return withGradient(x.mul(gain).add(offset), [x, gain, offset], (g) => [
    g.mul(gain),
    sumOfRows(g.mul(x)),
    sumOfRows(g),
  ]);
}

/** Sum over the rows of x [..., width]: [width]. A product with ones: the reduction operator is slower on a CPU. */
export function sumOfRows(x: Tensor): Tensor {
  const [count, width] = rows(x).shape;
  return constant(new Float32Array(count).fill(1), [1, count]).matmul(rows(x)).reshape([width]);
}

function rows(x: Tensor): Tensor {
  return x.reshape([sizeOf(x.shape.slice(0, -1)), x.shape[x.rank - 1]]);
}

/**
 * x mᵀ for x [..., P, k] and each m [..., rows, k], concatenated along the last axis. Of few rows, x and the product are
 * transposed instead of m, which would cost a pass over it; a single row is a column by its shape alone.
 */
export function timesTransposed(x: Tensor, ...matrices: readonly Tensor[]): Tensor {
  const outer = x.shape.slice(0, -2);
  const [P, k] = x.shape.slice(-2);
  const isFew = P === 1 || 8 * P <= k;
  if (!isFew)
    return concat(
      matrices.map((m) => x.matmul(m.swapLast())),
      -1,
    );
  const columns = P === 1 ? x.reshape([...outer, k, 1]) : x.swapLast();
  const products = concat(
    matrices.map((m) => m.matmul(columns)),
    -2,
  ); // [..., rows, P]
  return P === 1 ? products.reshape([...outer, 1, -1]) : products.swapLast();
}
