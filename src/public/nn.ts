/** `longhand/nn`: what layers are made of: parameters by path, their initial values, counter-based random numbers. */
export { randomKey, randomUniform } from "../base/random.ts";
export { initialise } from "../nn/scope.ts";
