/** Builds the page of `longhand studio` into dist/studio: a few files that need nothing from elsewhere. */
import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  // Relative, so that the page can be served below any path.
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: { outDir: "../dist/studio", emptyOutDir: true, target: "es2023", modulePreload: { polyfill: false } },
});
