/** How the tests run. The command and threads need a current `dist`: test/support/build.ts sees to it. */
import { relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { defineConfig, type Plugin } from "vitest/config";

const root = resolve(".");

/** Threads run the built package, which they load several times as fast as TypeScript; those that tests start keep it. */
const builtThreads: Plugin = {
  name: "built-threads",
  transform(code, id) {
    const call = "scriptBeside(import.meta.url";
    if (!code.includes(call) || id.endsWith(".test.ts")) return null;
    const built = resolve("dist", relative(root, id)).replace(/\.ts$/, ".js");
    return { code: code.replaceAll(call, `scriptBeside(${JSON.stringify(pathToFileURL(built))}`), map: null };
  },
};

export default defineConfig({
  plugins: [builtThreads],
  // The package by its own name is its source, as for the type checker and for everything else in this repository.
  ssr: { resolve: { conditions: ["longhand-source", "node", "import", "default"] } },
  test: {
    include: ["src/**/*.test.ts", "reproduce/**/*.test.ts", "test/**/*.test.ts", "studio/**/*.test.ts"],
    // By default one processor is left over: of two, half.
    maxWorkers: "100%",
    // Ends what hangs; how fast something is no test says. A busy machine takes more than the default of 5 s to load it all.
    testTimeout: 30_000,
    globalSetup: "test/support/build.ts",
    setupFiles: "test/support/typed-arrays.ts",
  },
});
