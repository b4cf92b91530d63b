/** Something that is asked of the server while a part of the page shows it, and asked again when `key` changes. */
import { useEffect, useRef, useState } from "preact/hooks";
import { sentenceOf } from "./client.ts";

export interface Loaded<Value> {
  readonly value?: Value;
  readonly problem?: string | undefined;
}

/** What was there before stays until the new is. */
export function useLoaded<Value>(key: string, load: (signal: AbortSignal) => Promise<Value>): Loaded<Value> {
  const [state, setState] = useState<Loaded<Value>>({});
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    const ending = new AbortController();
    const { signal } = ending;
    const settle = (loaded: Loaded<Value>) => !signal.aborted && setState(loaded);
    // The key says what is asked for: loads with the same key ask for the same.
    if (key !== undefined) {
      latest.current(signal).then(
        (value) => settle({ value }),
        (error: unknown) => settle({ problem: sentenceOf(error) }),
      );
    }
    return () => ending.abort();
  }, [key]);
  return state;
}
