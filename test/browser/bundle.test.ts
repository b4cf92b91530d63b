/** longhand/web as a user's page gets it: bundled by Vite from the built package, without Node, small. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Rolldown } from "vite";
import { afterAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "longhand-bundle-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Packages of this one's dependencies that need Node, or are not for pages. */
const NODE_PACKAGES = [
  "onnxruntime-node",
  "tokenizers",
  "koffi",
  "fastify",
  "@huggingface/hub",
  "commander",
  "linkedom",
  "prom-client",
];

interface Bundle {
  readonly chunks: readonly Rolldown.OutputChunk[];
  readonly assets: readonly Rolldown.OutputAsset[];
  /** Imports that no browser has, with who wants them. */
  readonly foreign: readonly string[];
}

async function bundle(script: string): Promise<Bundle> {
  const app = mkdtempSync(join(folder, "app-"));
  mkdirSync(join(app, "node_modules"));
  symlinkSync(root, join(app, "node_modules/longhand"));
  writeFileSync(join(app, "main.js"), script);
  const foreign: string[] = [];
  const guard = {
    name: "guard",
    enforce: "pre" as const,
    resolveId(name: string, importer: string | undefined) {
      if (isBuiltin(name) || NODE_PACKAGES.some((own) => name === own || name.startsWith(`${own}/`)))
        foreign.push(`${importer?.replace(root, "")} imports ${name}`);
      return null;
    },
  };
  const all: (Rolldown.OutputChunk | Rolldown.OutputAsset)[] = [];
  const collect = {
    name: "collect",
    generateBundle(_: unknown, made: Rolldown.OutputBundle) {
      all.push(...Object.values(made));
    },
  };
  await build({
    root: app,
    configFile: false,
    logLevel: "error",
    worker: { format: "es", plugins: () => [guard, collect] },
    plugins: [guard, collect],
    build: { write: false, rolldownOptions: { input: join(app, "main.js") } },
  });
  return {
    chunks: all.filter((part) => part.type === "chunk"),
    assets: all.filter((part) => part.type === "asset"),
    foreign,
  };
}

const isEngine = ({ moduleIds }: Rolldown.OutputChunk) =>
  moduleIds.some((id) => id.includes("node_modules/onnxruntime-web"));
const gzipped = (chunks: readonly Rolldown.OutputChunk[]) =>
  chunks.reduce((sum, { code }) => sum + gzipSync(code).length, 0);

describe("longhand/web in a bundle", { timeout: 120_000 }, () => {
  it("needs no Node, and takes below 200 kB gzip without the engine, with the worker of a model or of a training", async () => {
    const { chunks, foreign } = await bundle(
      `import { loadModel, openTrainer } from "longhand/web";\nglobalThis.own = [loadModel, openTrainer];`,
    );
    expect(foreign).toEqual([]);
    expect(chunks.filter(isEngine).length).toBeGreaterThan(0);
    const own = chunks.filter((chunk) => !isEngine(chunk));
    const workers = own.filter(({ fileName }) => /\b(train-)?worker-/.test(fileName));
    expect(workers).toHaveLength(2);
    const page = own.filter((chunk) => !workers.includes(chunk));
    expect(gzipped(page)).toBeLessThan(10_000); // models are the workers'
    for (const worker of workers) expect(gzipped([...page, worker])).toBeLessThan(200_000);
  });

  it("has only what a page uses, and is told from one that needs Node", async () => {
    const script = `import { storedModels } from "longhand/web";\nimport * as fs from "node:fs";\nglobalThis.own = [storedModels, fs];`;
    const { chunks, foreign } = await bundle(script);
    expect(chunks.find(({ isEntry, name }) => isEntry && name === "main")?.code).not.toMatch("new Worker");
    expect(foreign.join()).toMatch("main.js imports node:fs");
  });
});
