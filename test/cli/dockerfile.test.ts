/** deploy/Dockerfile copies what the build reads: it names that file by file, and the build changes. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { root } from "./command.ts";

const json = (file: string) => JSON.parse(readFileSync(join(root, file), "utf8"));

it("copies every file and folder that the build script names", () => {
  const [stage] = readFileSync(join(root, "deploy/Dockerfile"), "utf8")
    .split(/^FROM .*$/m)
    .slice(1);
  const copied = [...stage.matchAll(/^COPY (.*) \S+$/gm)].flatMap(([, sources]) => sources.split(" "));
  const patterns = copied.map((source) => new RegExp(`^${source.replaceAll(".", "\\.").replaceAll("*", ".*")}$`));
  const script: string = json("package.json").scripts.build;
  const named =
    script.match(/[\w./-]+/g)?.filter((word) => !word.startsWith("dist") && existsSync(join(root, word))) ?? [];
  const projects = named.filter((word) => /^tsconfig.*\.json$/.test(word)).map(json);
  const read = [...named, ...projects.flatMap((project) => [project.extends, ...project.include])];
  expect(read).toEqual(
    expect.arrayContaining(["tsconfig.build.json", "./tsconfig.json", "src", "studio/vite.config.ts"]),
  );
  for (const path of read) {
    const [top] = path.replace("./", "").split("/");
    expect(
      patterns.some((pattern) => pattern.test(top)),
      path,
    ).toBe(true);
  }
});
