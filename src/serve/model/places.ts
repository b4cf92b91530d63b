/** So many places, given to those who wait in the order in which they came. */
export class Places {
  #free: number;
  readonly #queue: { readonly count: number; readonly enter: () => void }[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Resolves when `count` places are the caller's. Throws what the signal was aborted with. */
  async take(count: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#queue.length === 0 && this.#free >= count) {
      this.#free -= count;
      return;
    }
    let leave = () => {};
    await new Promise<void>((resolve, reject) => {
      const waiting = { count, enter: resolve };
      leave = () => {
        const at = this.#queue.indexOf(waiting);
        if (at >= 0) this.#queue.splice(at, 1);
        this.#admit();
        reject(signal.reason);
      };
      this.#queue.push(waiting);
      signal.addEventListener("abort", leave, { once: true });
    });
    signal.removeEventListener("abort", leave);
  }

  giveBack(count: number): void {
    this.#free += count;
    this.#admit();
  }

  #admit(): void {
    while (this.#queue.length > 0 && this.#queue[0].count <= this.#free) {
      const { count, enter } = this.#queue.shift() as { count: number; enter: () => void };
      this.#free -= count;
      enter();
    }
  }
}
