/**
 * Writes many texts together (continuous batching: Yu et al. 2022, "Orca"): a text joins and leaves between any two steps,
 * and each step reads one token of every text that is not paused.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { TokenReader } from "../../generate/reader.ts";
import type { Session } from "../../generate/session.ts";
import { Batch, type Place } from "./batch.ts";

export interface Written {
  readonly signal: AbortSignal;
  /** Whether its client is slow: then it is left out of steps. */
  readonly paused: boolean;
  /** The token to read next. */
  readonly last: number | undefined;
  readonly finished: boolean;
  /** Takes the logits [V] after it. */
  take(logits: Float32Array): void;
}

interface Member {
  readonly text: Written;
  readonly place: Place;
  readonly end: (error?: unknown) => void;
}

export class Together {
  readonly #session: Session;
  readonly #batch: Batch;
  readonly #members = new Set<Member>();
  readonly #afterStep: () => void;
  #running = false;
  #wake = () => {};
  #decodeSeconds = 0;
  #engineSeconds = 0;
  #steps = 0;

  constructor(session: Session, options: { most: number; exact: boolean; afterStep: () => void }) {
    this.#session = session;
    this.#batch = new Batch(session, options);
    this.#afterStep = options.afterStep;
  }

  get facts() {
    const { texts, size } = this.#batch;
    const [decodeSeconds, engineSeconds, steps] = [this.#decodeSeconds, this.#engineSeconds, this.#steps];
    return { active: texts, batch: size, decodeSeconds, engineSeconds, steps };
  }

  /** Writes the text that `from` has read until it is finished. `copyTo` gets its state then. Throws as its signal says. */
  async write(text: Written, from: TokenReader, copyTo?: TokenReader): Promise<void> {
    const place = await this.#session.exclusively(() => this.#batch.join(from));
    try {
      await new Promise<void>((resolve, reject) => {
        const end = (error?: unknown) => (error === undefined ? resolve() : reject(error));
        this.#members.add({ text, place, end });
        this.wake();
        if (!this.#running) void this.#run();
      });
      if (copyTo) await this.#session.exclusively(() => this.#batch.copy(place, copyTo));
    } finally {
      await this.#session.exclusively(() => this.#batch.leave(place));
    }
  }

  /** To be called when a text is no longer paused, or its signal was aborted. */
  wake(): void {
    this.#wake();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#members.size > 0) {
      for (const { text, end } of this.#members) if (text.signal.aborted) end(text.signal.reason);
      for (const member of this.#members) {
        if (member.text.signal.aborted) this.#members.delete(member);
      }
      const some = [...this.#members].filter(({ text }) => !text.paused);
      if (some.length > 0) await this.#session.exclusively(() => this.#step(some)).catch((error) => this.#fail(error));
      else if (this.#members.size > 0) await this.#somethingNew();
      this.#afterStep();
      await turn();
    }
    this.#running = false;
  }

  async #step(some: readonly Member[]): Promise<void> {
    const begun = performance.now();
    const tokens = new Map(some.map(({ text, place }) => [place, text.last as number]));
    const logits = await this.#batch.step(tokens);
    const read = performance.now();
    for (const [i, member] of some.entries()) {
      try {
        member.text.take(logits[i]);
        if (!member.text.finished) continue;
        member.end();
      } catch (error) {
        member.end(error); // such as logits that are not finite: of this text alone
      }
      this.#members.delete(member);
    }
    this.#engineSeconds += (read - begun) / 1000;
    this.#decodeSeconds += (performance.now() - begun) / 1000;
    this.#steps++;
  }

  #fail(error: unknown): void {
    for (const { end } of this.#members) end(error);
    this.#members.clear();
  }

  #somethingNew(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
