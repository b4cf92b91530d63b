/**
 * A text as its tokens, each shaded by how much there is to say of it; one is selected by a click or by arrow keys.
 * To a screen reader it is a list of options.
 */
import { useEffect, useId, useRef } from "preact/hooks";

export interface ShownToken {
  readonly text: string;
  /** From 0 to 1: how strongly it is shaded. */
  readonly shade: number;
  /** What is said of it where it is pointed at. */
  readonly title?: string;
}

interface Props {
  readonly label: string;
  readonly tokens: readonly ShownToken[];
  /** Index of the first in its text. */
  readonly from?: number;
  readonly selected?: number | undefined;
  readonly onSelect?: (index: number) => void;
  /** The colour of the shade: surprise, or attention. */
  readonly kind: "surprise" | "attention";
}

export function Tokens({ label, tokens, from = 0, selected, onSelect, kind }: Props) {
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (selected === undefined || document.activeElement !== box.current) return;
    document.getElementById(`${id}-${selected}`)?.scrollIntoView({ block: "nearest" });
  }, [id, selected]);

  function press(event: KeyboardEvent) {
    const at = selected ?? from - 1;
    const moves: Readonly<Record<string, number>> = {
      ...{ ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1 },
      ...{ Home: from, End: from + tokens.length - 1 },
    };
    const to = moves[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    onSelect?.(Math.min(from + tokens.length - 1, Math.max(from, to)));
  }

  function click(event: MouseEvent) {
    const index = (event.target as HTMLElement).closest<HTMLElement>("[data-at]")?.dataset.at;
    if (index !== undefined) onSelect?.(Number(index));
  }

  return (
    <div
      ref={box}
      class={`tokens ${kind}`}
      role="listbox"
      aria-label={label}
      aria-orientation="horizontal"
      aria-activedescendant={selected === undefined ? undefined : `${id}-${selected}`}
      tabIndex={0}
      onKeyDown={press}
      onClick={click}
    >
      {tokens.map(({ text, shade, title }, offset) => {
        const at = from + offset;
        return (
          <span
            key={at}
            id={`${id}-${at}`}
            role="option"
            tabIndex={-1}
            aria-selected={at === selected}
            aria-label={named(text)}
            data-at={at}
            style={{ "--level": shade.toFixed(2) }}
            title={title}
          >
            {visible(text)}
          </span>
        );
      })}
    </div>
  );
}

/** White space alone has no sound. */
export function named(text: string): string | undefined {
  if (text.trim() !== "") return undefined;
  if (text === "") return "nothing";
  return [...text].map((sign) => (sign === "\n" ? "new line" : sign === "\t" ? "tab" : "space")).join(" ");
}

/** A line break is seen as a sign before it. */
export const visible = (text: string): string => text.replaceAll("\n", "↵\n");

/** In one line, white space seen: for lists and bars. */
export const inLine = (text: string): string =>
  text === "" ? "∅" : text.replaceAll("\n", "↵").replaceAll("\t", "→").replaceAll(" ", "␣");
