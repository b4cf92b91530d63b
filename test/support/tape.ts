/**
 * Reverse-mode differentiation of plain loops, one number at a time in float64 (after micrograd): so that a test can write
 * a formula once, as loops, and have every gradient of it.
 */

import { erf } from "../reference/elementwise.ts";

/** A number on the tape. */
export type Id = number;

export class Tape {
  #size = 0;
  #values = new Float64Array(1 << 16);
  #parents = new Int32Array(2 << 16);
  #slopes = new Float64Array(2 << 16);

  value(id: Id): number {
    return this.#values[id];
  }
  leaf(value: number): Id {
    return this.#push(value, 0, 0, 0, 0);
  }
  leaves(values: ArrayLike<number>): Id[] {
    return Array.from(values, (value) => this.leaf(value));
  }
  add(a: Id, b: Id): Id {
    return this.#push(this.value(a) + this.value(b), a, 1, b, 1);
  }
  mul(a: Id, b: Id): Id {
    return this.#push(this.value(a) * this.value(b), a, this.value(b), b, this.value(a));
  }
  div(a: Id, b: Id): Id {
    const quotient = this.value(a) / this.value(b);
    return this.#push(quotient, a, 1 / this.value(b), b, -quotient / this.value(b));
  }
  /** a times factor, plus offset. */
  affine(a: Id, factor: number, offset = 0): Id {
    return this.#push(this.value(a) * factor + offset, a, factor, 0, 0);
  }
  exp(a: Id): Id {
    const y = Math.exp(this.value(a));
    return this.#push(y, a, y, 0, 0);
  }
  power(a: Id, exponent: number): Id {
    const x = this.value(a);
    return this.#push(x ** exponent, a, exponent * x ** (exponent - 1), 0, 0);
  }
  erf(a: Id): Id {
    const x = this.value(a);
    return this.#push(erf(x), a, (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x), 0, 0);
  }
  sum(ids: readonly Id[]): Id {
    return ids.reduce((sum, id) => this.add(sum, id));
  }
  dot(a: readonly Id[], b: readonly Id[]): Id {
    return this.sum(a.map((id, i) => this.mul(id, b[i])));
  }
  /** The first of the largest: a choice, not a new number. */
  largest(ids: readonly Id[]): Id {
    return ids.reduce((best, id) => (this.value(id) > this.value(best) ? id : best));
  }
  softmax(scores: readonly Id[]): Id[] {
    const largest = Math.max(...scores.map((id) => this.value(id)));
    const exps = scores.map((id) => this.exp(this.affine(id, 1, -largest)));
    const total = this.sum(exps);
    return exps.map((id) => this.div(id, total));
  }

  /** d sum(outputs * cotangent) of every number on the tape. */
  gradients(outputs: readonly Id[], cotangent: ArrayLike<number>): Float64Array {
    const gradients = new Float64Array(this.#size);
    for (const [i, id] of outputs.entries()) gradients[id] += cotangent[i];
    for (let id = this.#size - 1; id >= 0; id--) {
      const [a, b] = [2 * id, 2 * id + 1];
      gradients[this.#parents[a]] += gradients[id] * this.#slopes[a];
      gradients[this.#parents[b]] += gradients[id] * this.#slopes[b];
    }
    return gradients;
  }

  #push(value: number, a: Id, slopeA: number, b: Id, slopeB: number): Id {
    const id = this.#size++;
    if (id === this.#values.length) this.#grow();
    this.#values[id] = value;
    this.#parents[2 * id] = a;
    this.#slopes[2 * id] = slopeA;
    this.#parents[2 * id + 1] = b;
    this.#slopes[2 * id + 1] = slopeB;
    return id;
  }

  #grow(): void {
    const grown = <A extends Float64Array | Int32Array>(from: A, to: A): A => {
      to.set(from);
      return to;
    };
    const n = 2 * this.#values.length;
    this.#values = grown(this.#values, new Float64Array(n));
    this.#parents = grown(this.#parents, new Int32Array(2 * n));
    this.#slopes = grown(this.#slopes, new Float64Array(2 * n));
  }
}
