/**
 * Builds what bin/longhand.js runs: the modules of the command and of the packages that it loads, in a few files. Opening
 * hundreds of small ones takes most of a short command's time.
 */
import { relative, resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";

const root = resolve(".");
const out = resolve("dist/command");

/** Workers, and files read at run time, stay where the package has them: a module knows them by its own address. */
const addresses: Plugin = {
  name: "addresses",
  transform(code, id) {
    if (!code.includes("import.meta.url") || !id.startsWith(root) || id.includes("/node_modules/")) return null;
    const built = resolve("dist", relative(root, id)).replace(/\.ts$/, ".js");
    const address = `new URL(${JSON.stringify(relative(out, built))}, import.meta.url).href`;
    return { code: code.replaceAll("import.meta.url", address), map: null };
  },
};

export default defineConfig({
  logLevel: "warn",
  plugins: [addresses],
  ssr: {
    resolve: { conditions: ["longhand-source", "node", "import", "default"] },
    noExternal: true,
    // Native, or many modules that one command loads.
    external: ["onnxruntime-node", "onnxruntime-web", "tokenizers", "koffi", "fastify", "prom-client"],
  },
  build: {
    ssr: true,
    outDir: out,
    target: "node20",
    minify: false,
    license: { fileName: "LICENSES.md" },
    rolldownOptions: {
      input: { main: "src/cli/main.ts", reexec: "src/cli/reexec.ts" },
      output: { entryFileNames: "[name].js", chunkFileNames: "[name].js" },
    },
  },
});
