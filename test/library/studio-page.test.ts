/** The studio's page as it is built: small enough, and whole without the internet. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";

const built = new URL("../../dist/studio/", import.meta.url).pathname;
const files = readdirSync(built, { recursive: true, encoding: "utf8" }).filter((name) => /\.\w+$/.test(name));
const read = (name: string) => readFileSync(join(built, name));

it("is under 200 kB of code, compressed", () => {
  const code = files.filter((name) => /\.(html|js|css)$/.test(name));
  expect(code.map((name) => name.replace(/-[\w-]{8}\./, ".")).sort()).toEqual([
    ...["assets/index.css", "assets/index.js", "index.html"],
  ]);
  const sizes = code.map((name) => gzipSync(read(name)).length);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(200_000);
});

it("loads nothing from elsewhere: no address of another machine in its page and styles", () => {
  for (const name of files.filter((one) => /\.(html|css)$/.test(one))) {
    expect(read(name).toString(), name).not.toMatch(/(src|href)="(https?:)?\/\/|url\(["']?(https?:)?\/\/|@import/);
  }
});
