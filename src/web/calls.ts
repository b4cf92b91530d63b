/**
 * Calls from a page to its worker: each is answered with a result or a failure, and may tell events before. A protocol is a
 * type that names the calls; `WorkerCalls` is the page's side, `answerCalls` the worker's.
 */
import { type ErrorCode, LonghandError, messageOf } from "../base/errors.ts";

/** By name. */
export type Protocol = Record<string, { readonly args: unknown; readonly result: unknown; readonly event?: unknown }>;

interface Call {
  readonly id: number;
  readonly name: string;
  readonly args: unknown;
}

/** With `id`, to a call; a failure without is that of the worker. */
type Answer =
  | { readonly id: number; readonly event: unknown }
  | { readonly id: number; readonly result: unknown }
  | { readonly id?: number; readonly failure: Failure };

/** An error as it crosses. */
interface Failure {
  readonly code?: ErrorCode;
  readonly message: string;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: unknown): void;
  onEvent?: ((event: unknown) => void) | undefined;
}

export class WorkerCalls<P extends Protocol> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  /** Why nothing works any more. */
  #ended: unknown;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Answer>) => this.#take(data);
    worker.onmessageerror = () => this.end(new LonghandError("engine", "the worker answered what cannot be read"));
    worker.onerror = (event) => {
      event.preventDefault();
      this.end(new LonghandError("engine", `the worker failed: ${event.message || "its script could not be loaded"}`));
    };
  }

  call<N extends keyof P & string>(
    name: N,
    args: P[N]["args"],
    onEvent?: (event: P[N]["event"]) => void,
  ): Promise<P[N]["result"]> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, onEvent });
      this.#worker.postMessage({ id, name, args } satisfies Call);
    });
  }

  /** Ends the worker where it is. All calls fail with this, those to come too. */
  end(reason: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  #take(answer: Answer): void {
    if (answer.id === undefined) {
      if ("failure" in answer) this.end(errorOf(answer.failure));
      return;
    }
    const call = this.#waiting.get(answer.id);
    if (call === undefined) return;
    if ("event" in answer) {
      call.onEvent?.(answer.event);
      return;
    }
    this.#waiting.delete(answer.id);
    if ("failure" in answer) call.reject(errorOf(answer.failure));
    else call.resolve(answer.result);
  }
}

export type Answers<P extends Protocol> = {
  readonly [N in keyof P]: (args: P[N]["args"], tell: (event: P[N]["event"]) => void) => Promise<P[N]["result"]>;
};

/** What answerCalls needs of a worker's global scope. */
export interface WorkerScope {
  onmessage: ((event: MessageEvent) => unknown) | null;
  postMessage(message: unknown): void;
}

/** Answers every call as it comes. The function that is returned ends the worker with an error. */
export function answerCalls<P extends Protocol>(scope: WorkerScope, answers: Answers<P>): (error: unknown) => void {
  const post = (answer: Answer) => scope.postMessage(answer);
  scope.onmessage = async ({ data: { id, name, args } }: MessageEvent<Call>) => {
    try {
      if (!Object.hasOwn(answers, name)) throw new LonghandError("usage", `call: there is no ${name}`);
      post({ id, result: await answers[name](args, (event) => post({ id, event })) });
    } catch (error) {
      post({ id, failure: failureOf(error) });
    }
  };
  return (error) => post({ failure: failureOf(error) });
}

function failureOf(error: unknown): Failure {
  return { message: messageOf(error), ...(error instanceof LonghandError && { code: error.code }) };
}

function errorOf({ code, message }: Failure): Error {
  return code === undefined ? new Error(message) : new LonghandError(code, message);
}
