/**
 * `longhand/nn`: what layers are made of: the interface of a layer, parameters by path and their initial values, linear
 * maps, norms, counter-based random numbers.
 */
export { randomKey, randomUniform } from "../base/random.ts";
export { silu } from "../nn/activations.ts";
export type { Layer, LayerInputs, Recurrence, StateEntry, Stepped } from "../nn/layer.ts";
export { linear, linearParameters, splitLinear } from "../nn/linear.ts";
export type { NewTokens } from "../nn/new-tokens.ts";
export { norm } from "../nn/norm.ts";
export { initialise, type Scope } from "../nn/scope.ts";
export type { Visibility } from "../nn/visibility.ts";
