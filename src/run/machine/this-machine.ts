/** What a configuration needs to know of this machine. */
import { availableProcessors } from "../../base/processors.node.ts";
import type { Machine } from "../../config/resolve.ts";
import { dataPath } from "../data/corpora.ts";
import { preparedParts } from "../data/run-tokens.ts";
import { version } from "./version.ts";

export function thisMachine(): Machine {
  return {
    version,
    processors: availableProcessors(),
    absolute: dataPath,
    prepared: (data) => preparedParts(data) !== undefined,
  };
}
