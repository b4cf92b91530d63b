/**
 * What a hand does on a plot: a mouse drags a window to zoom into (or pans, as chosen or with Shift), a finger pans,
 * two fingers and Ctrl with the wheel zoom, a sideways wheel pans, two clicks show all. Places are shares of the
 * width.
 */

export interface Gestures {
  /** Where the pointer is; undefined when it has left. */
  readonly point: (at: number | undefined) => void;
  readonly pan: (by: number) => void;
  readonly zoom: (factor: number, around: number) => void;
  /** While a window is dragged; both undefined when it is given up. */
  readonly dragged: (from?: number, to?: number) => void;
  readonly select: (from: number, to: number) => void;
  readonly all: () => void;
  /** What a mouse does when it drags. */
  readonly mode: () => "zoom" | "pan";
}

/** Pixels that a pointer may move and still click. */
const STILL = 4;

/** Attaches them to an element; returns what takes them off again. */
export function onGestures(element: HTMLElement, gestures: Gestures): () => void {
  const ending = new AbortController();
  const { signal } = ending;
  const fingers = new Map<number, number>();
  let drag: { readonly kind: "zoom" | "pan"; readonly from: number; last: number } | undefined;

  const place = ({ clientX }: MouseEvent) => {
    const { left, width } = element.getBoundingClientRect();
    return Math.min(1, Math.max(0, (clientX - left) / width));
  };
  const isStill = (from: number, to: number) => Math.abs(to - from) * element.clientWidth < STILL;

  function down(event: PointerEvent): void {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    const at = place(event);
    fingers.set(event.pointerId, at);
    const pans = event.pointerType === "touch" || event.shiftKey || gestures.mode() === "pan";
    drag = { kind: pans ? "pan" : "zoom", from: at, last: at };
  }

  function move(event: PointerEvent): void {
    const at = place(event);
    if (drag === undefined) gestures.point(at);
    else if (fingers.size === 2) pinch(event.pointerId, at);
    else if (drag.kind === "pan") gestures.pan(drag.last - at);
    else if (!isStill(drag.from, at)) gestures.dragged(drag.from, at);
    if (drag === undefined) return;
    drag.last = at;
    fingers.set(event.pointerId, at);
  }

  function pinch(finger: number, at: number): void {
    const [other] = [...fingers].flatMap(([id, place]) => (id === finger ? [] : [place]));
    const before = Math.abs((fingers.get(finger) ?? at) - other);
    const after = Math.abs(at - other);
    if (before > 0.02 && after > 0.02) gestures.zoom(before / after, (at + other) / 2);
  }

  function up(event: PointerEvent): void {
    fingers.delete(event.pointerId);
    if (drag?.kind === "zoom") {
      gestures.dragged();
      const at = place(event);
      if (event.type === "pointerup" && !isStill(drag.from, at)) {
        gestures.select(Math.min(drag.from, at), Math.max(drag.from, at));
      }
    }
    drag = undefined;
  }

  function wheel(event: WheelEvent): void {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      gestures.zoom(Math.exp(Math.max(-40, Math.min(40, event.deltaY)) / 100), place(event));
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      gestures.pan(event.deltaX / element.clientWidth);
    }
  }

  element.style.touchAction = "pan-y";
  element.addEventListener("pointerdown", down, { signal });
  element.addEventListener("pointermove", move, { signal });
  element.addEventListener("pointerup", up, { signal });
  element.addEventListener("pointercancel", up, { signal });
  element.addEventListener("pointerleave", () => drag === undefined && gestures.point(undefined), { signal });
  element.addEventListener("dblclick", () => gestures.all(), { signal });
  element.addEventListener("wheel", wheel, { signal, passive: false });
  return () => ending.abort();
}
