/** Builds the page to try Longhand in a tab into dist/site: files that any static host can serve, under any path. */
import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  resolve: { conditions: ["longhand-source", "module", "browser"] },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  worker: { format: "es" },
  build: { outDir: "../dist/site", emptyOutDir: true, target: "es2023", modulePreload: { polyfill: false } },
});
