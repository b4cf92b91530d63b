/** A download from the hub whose process is killed: what had come is not fetched again, and what is prepared is whole. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openShards } from "../../src/index.ts";
import { TestHub } from "../support/hub/server.ts";
import { sampleText, start, succeed, workspace } from "./command.ts";

/** What is asked for at a time. */
const RANGE = 8 * 1024 * 1024;

const { folder } = workspace();
let hub: TestHub;
beforeAll(async () => {
  hub = await TestHub.start();
});
afterAll(() => hub.stop());

it("kill -9 in the middle of a download loses nothing of it", { timeout: 60_000 }, async () => {
  const text = sampleText(3000);
  // A file of three ranges, of which the limit wants the first line only.
  const lines = `${JSON.stringify({ text })}\n${JSON.stringify({ text: "x".repeat(2.2 * RANGE) })}\n`;
  const bytes = Buffer.from(lines);
  hub.put("someone/texts", { files: { "train.jsonl": bytes } });
  hub.fault({ of: "/contents/", rangeFrom: RANGE, stall: true, times: 5 });
  const home = join(folder, "hf");
  const options = { cwd: folder, env: { HF_ENDPOINT: hub.endpoint, HF_HOME: home, HF_TOKEN: "" } };
  const args = ["prepare", "--data", "hub:someone/texts", "--out", "out", "--vocab", "300", "--limit", "1docs"];

  const running = start(args, options);
  while (!hub.requests.some(({ range }) => range?.startsWith(`bytes=${RANGE}-`))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  running.child.kill("SIGKILL");
  await running.ended;
  const blobs = join(home, "hub", "datasets--someone--texts", "blobs");
  const [incomplete] = readdirSync(blobs);
  expect(incomplete).toMatch(/\.incomplete$/);
  expect(readFileSync(join(blobs, incomplete)).equals(bytes.subarray(0, RANGE))).toBe(true);

  hub.clearFaults();
  const before = hub.requests.length;
  await succeed(args, options);
  const fetched = hub.requests
    .slice(before)
    .flatMap(({ path, range }) => (path.startsWith("/contents/") && range ? [range] : []));
  expect(fetched.filter((range) => range.startsWith("bytes=0-") && range !== "bytes=0-0")).toEqual([]);
  expect(readdirSync(blobs).map((name) => readFileSync(join(blobs, name)).equals(bytes))).toEqual([true]);
  const shards = await openShards(join(folder, "out"));
  expect([shards.documents, shards.bytes]).toEqual([1, Buffer.byteLength(text)]);
  shards.close();
});
