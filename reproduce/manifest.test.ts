/** Folders of comparisons, as they are read again. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { madeResults, manifestOf } from "../test/support/reproduce-results.ts";
import { readManifest, writeManifest } from "./manifest.ts";

const manifest = manifestOf(madeResults());
const folder = await mkdtemp(join(tmpdir(), "longhand-manifest-"));
afterAll(() => rm(folder, { recursive: true }));

it("is read as it was written", async () => {
  await writeManifest(folder, manifest);
  expect(await readManifest(folder)).toEqual(manifest);
});

it("trained with AdamW if it was begun before there was a choice of optimisers", async () => {
  const { settings, ...rest } = manifest;
  const { optimizer, lr, ...older } = settings;
  expect(optimizer).toBe("muon");
  await writeFile(join(folder, "reproduce.json"), JSON.stringify({ ...rest, settings: older }));
  const read = await readManifest(folder);
  expect(read?.settings).toEqual({ ...settings, optimizer: "adamw", lr: [0.002, 0.004, 0.008] });
});
