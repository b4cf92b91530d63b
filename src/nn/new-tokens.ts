/**
 * P new tokens of each of B texts, as the recurrent form of a layer sees them: where they stand, and which rows of the
 * state are written. Texts may be at different positions, and of each the first `count` tokens are real, the others
 * padding, which no real token sees since it comes later. Where there is one text alone, no tensor has the axis B, which
 * is then written [B …] for all that has the axis or has not.
 */
import type { Shape } from "../base/shape.ts";
import { constant, type Tensor } from "../graph/tensor.ts";
import { type AngleTable, tokenPositions } from "./positions.ts";
import { futureHidden, HIDDEN } from "./visibility.ts";

interface NewTokensInputs {
  /** The axis of texts: [B], or [] for one text without it. */
  readonly batch: Shape;
  /** P */
  readonly tokens: number;
  /** RoPE of the new tokens, [B …, P, half]. */
  readonly rotations: AngleTable;
  /** [B …] float32: rows of the open span that are written, tokens before in the whole text, spans that are closed. */
  readonly open: Tensor;
  readonly position: Tensor;
  readonly closed: Tensor;
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
  /** All layers share what is made for one number of rows. */
  readonly #made = new Map<string, Tensor>();

  constructor(inputs: NewTokensInputs) {
    const { batch, tokens, rotations, count } = inputs;
    this.#inputs = inputs;
    this.batch = batch;
    this.tokens = tokens;
    this.rotations = rotations;
    this.real = count && tokenPositions(tokens).reshape([tokens, 1]).less(this.#ofTexts(count)).cast("float32");
  }

  /** Added to scores [B …, P, n] on the rows of the open span, it hides those that are not written: [B …, 1, n]. */
  hiddenOpenRows(n: number): Tensor {
    return this.#hidden("open", n);
  }

  /** The same of rows that every token of the text adds. */
  hiddenTokenRows(n: number): Tensor {
    return this.#hidden("position", n);
  }

  /** The same of rows that every closed span adds. */
  hiddenSpanRows(n: number): Tensor {
    return this.#hidden("closed", n);
  }

  /** Added to scores [B …, P, P] of the new tokens on each other, it hides the future: [P, P]; undefined for one token. */
  hiddenFuture(): Tensor | undefined {
    const P = this.tokens;
    if (P === 1) return undefined;
    return this.#once("future", () => futureHidden(tokenPositions(P)));
  }

  /**
   * Where each new token finds what a table by distance, from n - 1 to 0, has for n rows of the open span and then for the
   * new tokens: indices [B …, P, n + P] int32, `hidden` for rows that are not written and for the future.
   */
  distances(n: number, hidden: number): Tensor {
    return this.#once(`distances ${n} ${hidden}`, () => {
      const P = this.tokens;
      const open = this.#ofTexts(this.#inputs.open);
      const fromBegin = Float32Array.from({ length: P * n }, (_, at) => (at % n) + n - 1 - Math.floor(at / n));
      const place = constant(fromBegin, [P, n]).sub(open).max(0); // [B …, P, n]; only padding would be below 0
      const past = tokenPositions(n).less(open).where(place, place.constant(hidden)).cast("int32");
      const own = Int32Array.from({ length: P * P }, (_, at) => {
        const distance = Math.floor(at / P) - (at % P);
        return distance < 0 ? hidden : Math.max(0, n - 1 - distance);
      });
      return past.concat([constant(own, [P, P]).expand([...this.batch, P, P])], -1);
    });
  }

  /** Added to scores [B …, P, n + P] on the rows of the open span and then on the new tokens, it hides what `distances` does. */
  hiddenInSpan(n: number): Tensor {
    return this.#once(`span ${n}`, () => {
      const P = this.tokens;
      const past = this.hiddenOpenRows(n).expand([...this.batch, P, n]);
      const future = this.hiddenFuture() ?? past.constant(0);
      return past.concat([future.expand([...this.batch, P, P])], -1);
    });
  }

  /** H vectors of each token, [B …, P, H, w] and of one token [B …, H, w], times `scales` and turned by RoPE. */
  turned(vectors: Tensor, scales: readonly number[]): Tensor {
    const [H, w] = vectors.shape.slice(-2);
    const half = w / 2;
    // x cos + (second half of x, first half) sin, where sin is negative in the first half
    const wide = (name: "cos" | "sin") =>
      this.#once(`${name} ${scales}`, () => {
        const factors = scales.flatMap((scale) =>
          Array.from({ length: w }, (_, i) => (name === "sin" && i < half ? -scale : scale)),
        );
        const table = this.rotations[name];
        return this.eachToken(table.concat([table], -1)).mul(constant(Float32Array.from(factors), [H, w]));
      });
    const [first, second] = vectors.split(-1, [half, half]);
    return vectors.mul(wide("cos")).add(second.concat([first], -1).mul(wide("sin")));
  }

  /** x [B …, P, w] with an axis for H vectors of each token, [B …, P, 1, w]; of one token its own axis is that: [B …, 1, w]. */
  eachToken(x: Tensor): Tensor {
    return this.tokens === 1 ? x : x.reshape([...x.shape.slice(0, -1), 1, x.shape[x.rank - 1]]);
  }

  /** The last real token's row of x [B …, P, w]: [B …, 1, w]; that of `before` where a text has no new token. */
  last(x: Tensor, before?: Tensor): Tensor {
    const P = this.tokens;
    const { count } = this.#inputs;
    if (count === undefined) return x.slice(-2, P - 1, P);
    const counts = this.#ofTexts(count);
    const chosen = this.#once("last", () => tokenPositions(P).reshape([1, P]).equal(counts.sub(1)).cast("float32"));
    const row = chosen.matmul(x); // zeros where there is none
    return before ? counts.equal(0).where(before, row) : row;
  }

  /** A number of each text, [B …], beside rows and columns: [B …, 1, 1]. */
  #ofTexts(numbers: Tensor): Tensor {
    return numbers.reshape([...this.batch, 1, 1]);
  }

  #hidden(written: "open" | "position" | "closed", n: number): Tensor {
    return this.#once(`${written} ${n}`, () => {
      const rows = tokenPositions(n).reshape([1, n]);
      const isWritten = rows.less(this.#ofTexts(this.#inputs[written]));
      return isWritten.where(rows.constant(0), rows.constant(HIDDEN));
    });
  }

  #once(key: string, make: () => Tensor): Tensor {
    const found = this.#made.get(key) ?? make();
    this.#made.set(key, found);
    return found;
  }
}
