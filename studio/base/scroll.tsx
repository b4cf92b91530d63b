/**
 * Something wide in a box that scrolls, from the keyboard too: it takes the focus where there is something to scroll.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

export function Scroll({ label, children }: { readonly label: string; readonly children: ComponentChildren }) {
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const size = new ResizeObserver(() => {
      if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
    });
    size.observe(element);
    for (const child of element.children) size.observe(child);
    return () => size.disconnect();
  }, []);
  return (
    <section ref={box} class="scroll" aria-label={label}>
      {children}
    </section>
  );
}
