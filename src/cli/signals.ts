/** Ctrl-C and kill: the first asks for a clean stop between two steps, the second ends the process at once. */

export interface StopSignal {
  readonly signal: AbortSignal;
  /** Signals have their default effect again. */
  release(): void;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** `message`: what is told at the first signal; undefined: nothing. */
export function stopSignal(message: string | undefined): StopSignal {
  const controller = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(signal === "SIGINT" ? 130 : 143);
    if (message !== undefined) process.stderr.write(`\n${message}\n`);
    controller.abort();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    signal: controller.signal,
    release: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal);
    },
  };
}
