/**
 * Work that is done one piece at a time, in the order in which it was asked for, with a turn of the event loop after
 * each.
 */
import { setImmediate as turn } from "node:timers/promises";

export class Lane {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    // Messages must arrive between two pieces also with a binding whose runs block the event loop.
    this.#last = result.then(
      () => turn(),
      () => turn(),
    );
    return result;
  }
}
