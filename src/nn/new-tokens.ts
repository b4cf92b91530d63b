/**
 * P new tokens of each of B texts, as the recurrent form of a layer sees them: their positions, and which rows of the
 * state are written. Texts may be at different positions. The first `count` tokens of each are real; the others are
 * padding, which comes later, so that no real token sees it. A single text has no axis B: [B …] in a shape stands for
 * an axis B or none.
 */
import type { Shape } from "../base/shape.ts";
import { constant, type Tensor } from "../graph/tensor.ts";
import { type AngleTable, anglesOfPairs, tokenPositions } from "./positions.ts";
import { HIDDEN, hiddenFuture } from "./visibility.ts";

/** Which rows an entry of the state has: the tokens of the open span, all tokens of the text, or its closed spans. */
export type RowKind = "open-rows" | "token-rows" | "span-rows";

/** [B …] float32: how many rows of each kind are written, which is also the index of the next one. */
export type WrittenRows = Readonly<Record<RowKind, Tensor>>;

interface NewTokensInputs {
  /** The axis of texts: [B], or [] for a single text. */
  readonly batch: Shape;
  /** P */
  readonly tokens: number;
  /** RoPE angles of the new tokens, [B …, P, half]. */
  readonly rotations: AngleTable;
  readonly written: WrittenRows;
  /** [B …] float32: how many of the P tokens are real; undefined when all are. */
  readonly count?: Tensor | undefined;
}

export class NewTokens {
  readonly batch: Shape;
  readonly tokens: number;
  readonly rotations: AngleTable;
  /** [B …, P, 1]: 1 where a token is real; undefined when all are. */
  readonly real: Tensor | undefined;
  readonly #inputs: NewTokensInputs;
  /** By kind and number of rows, shared by all layers. */
  readonly #cache = new Map<string, Tensor>();

  constructor(inputs: NewTokensInputs) {
    const { batch, tokens, rotations, count } = inputs;
    this.#inputs = inputs;
    this.batch = batch;
    this.tokens = tokens;
    this.rotations = rotations;
    this.real = count && tokenPositions(tokens).reshape([tokens, 1]).less(this.#ofTexts(count)).cast("float32");
  }

  /** [B …, 1, n]: added to scores [B …, P, n] of the n rows of an entry to hide those that are not written. */
  hiddenRows(kind: RowKind, n: number): Tensor {
    return this.#once(`${kind} ${n}`, () => {
      const rows = tokenPositions(n).reshape([1, n]);
      const isWritten = rows.less(this.#ofTexts(this.#inputs.written[kind]));
      return isWritten.where(rows.constant(0), rows.constant(HIDDEN));
    });
  }

  /** [P, P]: added to scores [B …, P, P] between the new tokens to hide the future; undefined for one token. */
  hiddenFuture(): Tensor | undefined {
    const P = this.tokens;
    if (P === 1) return undefined;
    return this.#once("future", () => hiddenFuture(tokenPositions(P)));
  }

  /**
   * For scores on n rows of the open span and then on the new tokens: indices [B …, P, n + P] int32 into a table of
   * values by distance from n - 1 to 0; `hiddenIndex` for rows that are not written and for the future.
   */
  distances(n: number, hiddenIndex: number): Tensor {
    return this.#once(`distances ${n} ${hiddenIndex}`, () => {
      const P = this.tokens;
      const open = this.#ofTexts(this.#inputs.written["open-rows"]);
      const atSpanStart = Float32Array.from({ length: P * n }, (_, at) => (at % n) + n - 1 - Math.floor(at / n));
      const index = constant(atSpanStart, [P, n]).sub(open).max(0); // [B …, P, n]; only padding would be below 0
      const past = tokenPositions(n).less(open).where(index, index.constant(hiddenIndex)).cast("int32");
      const fresh = Int32Array.from({ length: P * P }, (_, at) => {
        const distance = Math.floor(at / P) - (at % P);
        return distance < 0 ? hiddenIndex : Math.max(0, n - 1 - distance);
      });
      return past.concat([constant(fresh, [P, P]).expand([...this.batch, P, P])], -1);
    });
  }

  /** [B …, P, N]: added to scores on rows of these entries, and then on the new tokens, to hide what is not to be seen. */
  hiddenInRows(entries: readonly { readonly kind: RowKind; readonly n: number }[]): Tensor {
    return this.#once(`rows ${entries.map(({ kind, n }) => `${kind} ${n}`)}`, () => {
      const P = this.tokens;
      const [first, ...rest] = entries.map(({ kind, n }) => this.hiddenRows(kind, n).expand([...this.batch, P, n]));
      const future = this.hiddenFuture() ?? first.constant(0);
      return first.concat([...rest, future.expand([...this.batch, P, P])], -1);
    });
  }

  /** RoPE of H vectors of each token times `scales`: [B …, P, H, w], for a single token [B …, H, w]. */
  rotate(vectors: Tensor, scales: readonly number[]): Tensor {
    const [H, w] = vectors.shape.slice(-2);
    const half = w / 2;
    // x cos + (second half of x, first half) sin, where sin is negative in the first half
    const wide = (name: "cos" | "sin") =>
      this.#once(`${name} ${scales}`, () => {
        const factors = scales.flatMap((scale) =>
          Array.from({ length: w }, (_, i) => (name === "sin" && i < half ? -scale : scale)),
        );
        const table = anglesOfPairs(this.rotations, half)[name];
        return this.eachToken(table.concat([table], -1)).mul(constant(Float32Array.from(factors), [H, w]));
      });
    const [first, second] = vectors.split(-1, [half, half]);
    return vectors.mul(wide("cos")).add(second.concat([first], -1).mul(wide("sin")));
  }

  /** x [B …, P, w] with an axis for vectors of each token: [B …, P, 1, w], or x itself for a single token. */
  eachToken(x: Tensor): Tensor {
    return this.tokens === 1 ? x : x.reshape([...x.shape.slice(0, -1), 1, x.shape[x.rank - 1]]);
  }

  /** The row of x [B …, P, w] of the last real token, or `otherwise` for a text without one: [B …, 1, w]. */
  last(x: Tensor, otherwise?: Tensor): Tensor {
    const P = this.tokens;
    const { count } = this.#inputs;
    if (count === undefined) return x.slice(-2, P - 1, P);
    const counts = this.#ofTexts(count);
    const chosen = this.#once("last", () => tokenPositions(P).reshape([1, P]).equal(counts.sub(1)).cast("float32"));
    const row = chosen.matmul(x); // zeros for a text without one
    return otherwise ? counts.equal(0).where(otherwise, row) : row;
  }

  /** One number per text, [B …], to broadcast with matrices: [B …, 1, 1]. */
  #ofTexts(numbers: Tensor): Tensor {
    return numbers.reshape([...this.batch, 1, 1]);
  }

  #once(key: string, make: () => Tensor): Tensor {
    const tensor = this.#cache.get(key) ?? make();
    this.#cache.set(key, tensor);
    return tensor;
  }
}
