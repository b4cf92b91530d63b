/** What a configuration needs to know of this machine. */
import { availableProcessors } from "../../base/processors.node.ts";
import type { Machine } from "../../config/resolve.ts";
import { dataPath } from "../data/corpora.ts";
import { preparedParts } from "../data/run-tokens.ts";
import { version } from "./version.ts";

/** `sharing`: processes that have the same processors and train together. */
export function thisMachine(sharing = 1): Machine {
  return {
    version,
    processors: Math.max(1, Math.floor(availableProcessors() / sharing)),
    absolute: dataPath,
    prepared: (data) => preparedParts(data) !== undefined,
  };
}
