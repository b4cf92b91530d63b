/** The package's version, from its package.json. */
import { createRequire } from "node:module";

export const version: string = createRequire(import.meta.url)("longhand/package.json").version;
