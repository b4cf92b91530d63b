/** A page that has the library for pages, for tests that use it from outside. */
import * as longhand from "../../../src/public/web.ts";

export type Longhand = typeof longhand;

Object.assign(globalThis, { longhand });
