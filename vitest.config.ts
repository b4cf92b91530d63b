/** How the tests run. The command-line tests need a current `dist`: test/support/build.ts sees to it. */
import { defineConfig } from "vitest/config";

export default defineConfig({
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
