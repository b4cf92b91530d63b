/**
 * Worker threads that make text into tokens, each with a tokenizer of its own. A batch goes to the thread with the
 * fewest batches waiting; the caller keeps them in order.
 */
import type { Worker } from "node:worker_threads";
import { type ErrorCode, LonghandError, messageOf } from "../base/errors.ts";
import { availableProcessors } from "../base/processors.node.ts";
import { scriptBeside, startThread } from "../base/threads.node.ts";
import type { EncodedPieces, PieceText } from "./encode-pieces.ts";

export interface EncoderSetup {
  /** The text of a tokenizer.json. */
  readonly json: string;
  /** Bytes of a token in the shards. */
  readonly width: 2 | 4;
}

export type EncoderAnswer =
  | { readonly encoded: EncodedPieces }
  | { readonly error: { readonly code: ErrorCode | undefined; readonly message: string } };

export interface EncoderPoolOptions extends EncoderSetup {
  /** The most to start, at least 1. */
  readonly threads: number;
  /** What the threads run; default: encode-worker.node.ts. */
  readonly script?: URL;
}

/**
 * Threads by default: more would wait for the one that reads and writes, which does so with 110 MB of text a second and
 * more where nothing has to be decompressed, while each of them encodes 4 to 12 MB (docs/decisions/0035).
 */
const MOST_BY_DEFAULT = 16;

export function defaultEncoders(): number {
  return Math.min(MOST_BY_DEFAULT, availableProcessors());
}

/** A batch a thread works on, and one that waits for it. */
const BATCHES_PER_THREAD = 2;
/** Short-lived objects of a thread: the words of a batch. Left to itself, V8 lets them take three times as much. */
const LIMITS = { maxYoungGenerationSizeMb: 16 };
/** A thread that does not end when it is asked to is terminated after this time. */
const END_MS = 10_000;

export class EncoderPool {
  /** The most batches worth sending at a time: more would only wait. */
  readonly capacity: number;
  readonly #threads: EncoderThread[] = [];
  readonly #most: number;
  readonly #start: () => EncoderThread;
  readonly #ownsNativeThreads: boolean;

  constructor({ threads, script = scriptBeside(import.meta.url, "encode-worker.node"), ...setup }: EncoderPoolOptions) {
    // The native encoder divides a batch among threads of its own, one pool for the whole process, made at its first use.
    this.#ownsNativeThreads = process.env.RAYON_NUM_THREADS === undefined;
    if (this.#ownsNativeThreads) process.env.RAYON_NUM_THREADS = String(threads);
    this.capacity = BATCHES_PER_THREAD * threads;
    this.#most = threads;
    this.#start = () => new EncoderThread(script, setup);
  }

  /** Rejects with "data" for text that cannot be encoded, with "io" when the thread has died. */
  encode(pieces: readonly PieceText[]): Promise<EncodedPieces> {
    return this.#next().encode(pieces);
  }

  /** The thread with the fewest batches waiting; one more is started while all have some: a short text needs few. */
  #next(): EncoderThread {
    const [first, ...others] = this.#threads;
    const least = others.reduce((least, thread) => (thread.waiting < least.waiting ? thread : least), first);
    if (least?.waiting === 0 || this.#threads.length === this.#most) return least;
    const started = this.#start();
    this.#threads.push(started);
    return started;
  }

  /** Ends the threads, each after its present batch. Never throws. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
    if (this.#ownsNativeThreads) delete process.env.RAYON_NUM_THREADS;
  }
}

interface Waiting {
  readonly resolve: (encoded: EncodedPieces) => void;
  readonly reject: (error: LonghandError) => void;
}

class EncoderThread {
  readonly #worker: Worker;
  readonly #queue: Waiting[] = [];
  readonly #exited: Promise<void>;
  #failure: LonghandError | undefined;
  #closing = false;

  constructor(script: URL, setup: EncoderSetup) {
    this.#worker = startThread(script, { data: setup, limits: LIMITS });
    this.#worker.on("message", (answer: EncoderAnswer) => this.#answered(answer));
    this.#worker.on("messageerror", (error) => this.#failed(messageOf(error)));
    this.#worker.on("error", (error) => this.#failed(messageOf(error)));
    this.#exited = new Promise((resolve) => {
      this.#worker.on("exit", (status) => {
        this.#failed(`it ended with status ${status}`);
        resolve();
      });
    });
  }

  get waiting(): number {
    return this.#queue.length;
  }

  encode(pieces: readonly PieceText[]): Promise<EncodedPieces> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#queue.push({ resolve, reject });
      this.#worker.postMessage(pieces.map(({ text, last }): PieceText => ({ text, last })));
    });
  }

  async close(): Promise<void> {
    if (this.#closing) return this.#exited;
    this.#closing = true;
    this.#worker.postMessage(null);
    const limit = setTimeout(() => void this.#worker.terminate(), END_MS);
    await this.#exited;
    clearTimeout(limit);
  }

  #answered(answer: EncoderAnswer): void {
    const waiting = this.#queue.shift();
    if ("encoded" in answer) waiting?.resolve(answer.encoded);
    else waiting?.reject(new LonghandError(answer.error.code ?? "data", answer.error.message));
  }

  /** The first failure is reported for every batch, later ones too. */
  #failed(reason: string): void {
    this.#failure ??= new LonghandError(
      "io",
      `shards: a thread that turns text into tokens failed (${reason}); run the same command again, or with fewer \`threads\` if memory is short`,
    );
    for (const { reject } of this.#queue.splice(0)) reject(this.#failure);
  }
}
