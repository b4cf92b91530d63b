/**
 * Every error that Longhand raises on purpose: one sentence with the name and value at fault, a stable code,
 * and, where known, what to do. A setting is named by its field, in backquotes: `evalEvery`. The command line turns that
 * into its flag, --eval-every, and the code into an exit status.
 */

/** Stable identifiers for programs; the message is for people. */
export type ErrorCode =
  | "usage" // a wrong option, value or combination of options: exit status 2
  | "config" // a configuration that does not make sense or is of another version
  | "data" // an input text, shard or tokenizer that cannot be used
  | "checkpoint" // a saved run that is missing, damaged or of another model
  | "graph" // a tensor operation given the wrong shapes, dtypes or attributes
  | "engine" // the execution engine refused or failed
  | "diverged" // training met non-finite values too often
  | "io"; // the file system refused: full, read-only, no permission

export class LonghandError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "LonghandError";
    this.code = code;
  }
}

/** A field as messages name it. */
export function quoted(field: string): string {
  return `\`${field}\``;
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The choice nearest to a mistyped word by edit distance, or undefined when none is close. */
export function nearest(word: string, choices: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const choice of choices) {
    const distance = editDistance(word.toLowerCase(), choice.toLowerCase());
    if (distance < bestDistance) {
      best = choice;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
