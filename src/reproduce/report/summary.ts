import type { Manifest } from "../manifest.ts";
import type { Result } from "../results.ts";

export function summarise(manifest: Manifest, results: readonly Result[]) {
  return { manifest, results };
}
