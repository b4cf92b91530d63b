/** What a screen reader says when something happens that is only seen otherwise: main.tsx holds the live region. */
import { signal } from "@preact/signals";

export const announcement = signal("");

export function announce(sentence: string): void {
  // The same sentence twice is said twice.
  announcement.value = announcement.peek() === sentence ? `${sentence}\u00a0` : sentence;
}
