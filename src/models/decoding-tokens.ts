/**
 * The two ends that every decoding program has: tokens and their positions in, what was asked of them out; and the host
 * arrays for both. What lies between is the architecture's.
 */
import { constant, input, type Tensor } from "../graph/tensor.ts";
import { crossEntropy } from "../nn/cross-entropy.ts";
import type { Advance, HostArrays, Readout } from "../nn/decoding.ts";
import { timesTransposed } from "../nn/linear.ts";
import { norm } from "../nn/norm.ts";
import { angles, scaledSinusoid } from "../nn/positions.ts";
import type { Scope } from "../nn/scope.ts";
import type { ModelConfig } from "./config.ts";
import { tiedEmbedding } from "./language-model.ts";

/** Inputs tokens [P] int32, position.cos and position.sin [P, d / 2] -> x [P, d]. */
export function embed(scope: Scope, config: ModelConfig, P: number): Tensor {
  const half = config.width / 2;
  const table = { cos: input("position.cos", [P, half]), sin: input("position.sin", [P, half]) };
  const { table: embedding } = tiedEmbedding(scope, config);
  return embedding.gather(input("tokens", [P], "int32")).add(scaledSinusoid(scope.at("position"), table));
}

/**
 * x [P, d] -> output result. last: input row [1] int32, the token whose logits are wanted, result [1, V]; the others: see
 * Readout.
 */
export function readOut(scope: Scope, config: ModelConfig, x: Tensor, readout: Readout): { result: Tensor } {
  const [P] = x.shape;
  const { table, bias } = tiedEmbedding(scope, config);
  const last = readout === "last" && P > 1 ? x.gather(input("row", [1], "int32")) : x;
  const hidden = norm(scope.at("final.norm"), last, "scale");
  if (readout !== "losses") return { result: timesTransposed(hidden, table).add(bias) };
  const weights = constant(new Float32Array(P), [P]); // of the weighted sum, which is not asked for
  const targets = input("targets", [P], "int32");
  return { result: crossEntropy({ x: hidden, table, bias, targets, weights }).perToken };
}

/** ONNX names inputs and outputs in one space: outputs get the prefix "new.". */
export function renamed(outputs: Record<string, Tensor>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [`new.${name}`, tensor]));
}

/** The inputs that `embed` and `readOut` name, for P tokens. */
export class TokenInputs {
  /** Those that a program with this readout has. */
  readonly arrays: HostArrays;
  readonly #tokens: Int32Array;
  readonly #row = new Int32Array(1);
  readonly #targets: Int32Array;
  readonly #cos: Float32Array;
  readonly #sin: Float32Array;

  constructor(P: number, width: number, readout: Readout) {
    this.#tokens = new Int32Array(P);
    this.#targets = new Int32Array(P);
    this.#cos = new Float32Array((P * width) / 2);
    this.#sin = new Float32Array((P * width) / 2);
    this.arrays = {
      tokens: this.#tokens,
      "position.cos": this.#cos,
      "position.sin": this.#sin,
      ...(readout === "losses" && { targets: this.#targets }),
      ...(readout === "last" && P > 1 && { row: this.#row }),
    };
  }

  /** The first `count` tokens of a request, from `position` on, padded with token 0, which nothing sees. */
  fill(request: Advance, count: number, position: number): void {
    const P = this.#tokens.length;
    this.#tokens.fill(0).set(request.tokens.subarray(0, count));
    this.#row[0] = count - 1;
    if (request.targets) this.#targets.fill(0).set(request.targets.subarray(0, count));
    const { cos, sin } = angles(position, P, this.#cos.length / P);
    this.#cos.set(cos);
    this.#sin.set(sin);
  }
}

/** What was read out of the first `count` tokens of a result that may be padded. */
export function resultOf(result: Float32Array, readout: Readout, count: number, vocabSize: number): Float32Array {
  if (readout === "last") return result;
  return result.subarray(0, readout === "all" ? count * vocabSize : count);
}

/** Tokens of a tile of several: sizes at which reading the weights no longer dominates. */
const TILES = [64, 256];
/** Up to this many tokens, single steps cost less than the smallest tile of several. */
const FEW_TOKENS = 3;

/** The tile for this many tokens: the largest that the span allows when there are more, else the smallest that holds them. */
export function tileSize(span: number, tokens: number): number {
  if (tokens <= FEW_TOKENS) return 1;
  const sizes = TILES.map((size) => Math.min(size, span));
  return sizes.find((size) => size >= tokens) ?? sizes[sizes.length - 1];
}
