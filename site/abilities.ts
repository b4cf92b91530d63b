/** What this browser gives the page, and what it lacks for that: sentences for those who wonder why it is slow or forgets. */

export interface Ability {
  /** Whether it is there. */
  readonly there: boolean;
  readonly text: string;
}

/** What nothing works without; undefined where all of it is there. */
export function missing(): string | undefined {
  if (typeof WebAssembly === "undefined") return "This browser has no WebAssembly, which computes the model.";
  if (typeof Worker === "undefined") return "This browser has no workers, in which the model is trained.";
  const flag: string = "v"; // not a literal, which an older browser could not even read
  try {
    RegExp("[\\p{L}--[a]]", flag);
  } catch {
    return "This browser is too old to divide text into words as the model needs it: it lacks the v flag of expressions.";
  }
  return undefined;
}

export async function abilities(): Promise<Ability[]> {
  const secure = isSecureContext;
  const gpu = Boolean(await navigator.gpu?.requestAdapter().catch(() => null));
  const isolated = crossOriginIsolated;
  const files = navigator.storage?.getDirectory !== undefined && "createWritable" in FileSystemFileHandle.prototype;
  const needs = "; it needs https or localhost";
  return [
    {
      there: gpu,
      text: gpu
        ? "WebGPU: used where it is a graphics card."
        : `No WebGPU, so the processor computes${secure ? "" : needs}.`,
    },
    {
      there: isolated,
      text: isolated
        ? "Several threads: the page is isolated from others."
        : "One thread: the host does not send the headers that isolate a page. Training takes longer.",
    },
    {
      there: files,
      text: files
        ? "Runs stay in this browser when the tab is closed."
        : `Runs are lost when the tab is closed: this browser gives the page no private files${secure ? "" : needs}. Download what you want to keep.`,
    },
  ];
}
