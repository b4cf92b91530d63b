/**
 * The imports of TypeScript files as Biome formats them: statements begin a line, module names stand in double quotes.
 * TypeScript 7 has no interface for programs, and nothing more of the language is needed here than these statements.
 */
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";

const ROOT = new URL("../../", import.meta.url);

export interface Import {
  /** As written: "./a.ts", "node:fs", "zod". */
  readonly name: string;
  /** Erased when the program runs: `import type`, `export type`, `typeof import()`. */
  readonly typeOnly: boolean;
}

/** Imports of each file by its path from the root of the repository, with slashes, in alphabetical order. */
export type ImportsByFile = ReadonlyMap<string, readonly Import[]>;

const STATEMENT = /^(?:import|export)\s+(type\s+)?(?:[\w*{][^;"'()]*?\sfrom\s+)?"([^"]+)"/gm;
const EXPRESSION = /(typeof\s+)?\bimport\(\s*"([^"]+)"/g;

export function importsOf(text: string): Import[] {
  return [STATEMENT, EXPRESSION].flatMap((pattern) =>
    [...text.matchAll(pattern)].map(([, type, name]) => ({ name, typeOnly: type !== undefined })),
  );
}

/** Of every TypeScript file of this repository. */
export function repositoryImports(): ImportsByFile {
  const files = ["src", "reproduce", "test", "bench", "examples", "site", "studio"].flatMap(filesBelow).sort();
  return new Map(files.map((path) => [path, importsOf(readFileSync(new URL(path, ROOT), "utf8"))]));
}

function filesBelow(folder: string): string[] {
  const names = readdirSync(new URL(folder, ROOT), { recursive: true, encoding: "utf8" });
  return names.filter((name) => /\.tsx?$/.test(name)).map((name) => posix.join(folder, name.replaceAll("\\", "/")));
}

/** The path of an imported file, or undefined for a package. */
export function importedFile(from: string, { name }: Import): string | undefined {
  return name.startsWith(".") ? posix.join(posix.dirname(from), name) : undefined;
}
