/** Where results go: stdout carries results only (JSON lines with --json), everything else goes to stderr. */
export interface Streams {
  readonly out: NodeJS.WritableStream;
  readonly err: NodeJS.WritableStream;
}

/** One JSON line; numbers that JSON lacks become null. */
export function printJson({ out }: Streams, value: unknown): void {
  out.write(`${JSON.stringify(value)}\n`);
}
