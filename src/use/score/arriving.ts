/**
 * A text that arrives over time, cut into pieces (data/pieces.ts). Where the input pauses, the lines that are complete are
 * handed over at once: a newline that has been handed over so is a token by itself, which it also is in a file unless the
 * next line is empty or indented.
 */
import { nextCut } from "../../data/pieces.ts";

export interface ArrivingPiece {
  readonly text: string;
  /** Whether the input has paused after it. */
  readonly pause: boolean;
}

export interface ArrivingOptions {
  /** Ends the text where it is. */
  readonly signal?: AbortSignal | undefined;
  /** How long a complete line may wait for more input. */
  readonly pauseMs?: number;
}

const PAUSE_MS = 100;

export async function* arrivingPieces(
  parts: AsyncIterable<string>,
  { signal, pauseMs = PAUSE_MS }: ArrivingOptions = {},
): AsyncGenerator<ArrivingPiece> {
  const input = parts[Symbol.asyncIterator]();
  let text = "";
  /** Time that the lines that are complete have waited for more input. */
  let waited = 0;
  let next = input.next();
  for (;;) {
    const began = performance.now();
    const left = text.includes("\n") ? Math.max(0, pauseMs - waited) : undefined;
    const got = await first(next, left, signal);
    if (got === "pause") {
      const end = text.lastIndexOf("\n");
      // Apart, as the pre-tokenizer divides white space before a line that begins with something else.
      if (end > 0) yield { text: text.slice(0, end), pause: false };
      yield { text: "\n", pause: true };
      text = text.slice(end + 1);
      waited = 0;
      continue;
    }
    if (left !== undefined) waited += performance.now() - began;
    if (got === "stop" || got.done) break;
    next = input.next();
    text += got.value;
    let start = 0;
    for (let end = nextCut(text, 0, false); end > start; end = nextCut(text, start, false)) {
      yield { text: text.slice(start, end), pause: false };
      start = end;
      waited = 0;
    }
    text = text.slice(start);
  }
  next.catch(() => {}); // nobody waits for it any more
  for (let start = 0; start < text.length; ) {
    const end = nextCut(text, start, true);
    yield { text: text.slice(start, end), pause: false };
    start = end;
  }
}

/** What comes first: the next part, the end of a pause of so many milliseconds, or the signal. */
async function first<T>(
  next: Promise<T>,
  milliseconds: number | undefined,
  signal: AbortSignal | undefined,
): Promise<T | "pause" | "stop"> {
  if (signal?.aborted) return "stop";
  let timer: NodeJS.Timeout | undefined;
  let onAbort = () => {};
  const others = new Promise<"pause" | "stop">((resolve) => {
    if (milliseconds !== undefined) timer = setTimeout(() => resolve("pause"), milliseconds);
    onAbort = () => resolve("stop");
    signal?.addEventListener("abort", onAbort);
  });
  try {
    return await Promise.race([next, others]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
