/** The cache of files of the hub: its layout, going on after an interruption, fetching ahead, damage. */
import { existsSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { chapters, parquet } from "../../../../test/support/hub/corpora.ts";
import { hubPlace, textsOf } from "../../../../test/support/hub/place.ts";
import { type CorpusOptions, openCorpus } from "../corpus.ts";

const place = hubPlace();
const { open, contents } = place;
const big = () => parquet({ text: chapters(1, 30) });
const train = "data/train.parquet";

describe("the cache", () => {
  it("is laid out as the hub's own tools do, and used again without a request for contents", async () => {
    await textsOf("hub:wiki40b/de");
    const repo = join(place.cache, "datasets--google--wiki40b");
    const commit = place.hub.commitOf("google/wiki40b");
    expect(readFileSync(join(repo, "refs", "main"), "utf8")).toBe(commit);
    const link = join(repo, "snapshots", commit, "de", "train-00000-of-00001.parquet");
    expect(realpathSync(link)).toContain(join(repo, "blobs"));
    expect(
      contents().length + place.hub.requests.filter(({ path }) => path.includes("/resolve/")).length,
    ).toBeGreaterThan(0);
    place.hub.requests.length = 0;
    await textsOf(`hub:wiki40b@${commit}/de`);
    expect(place.hub.requests.map(({ path }) => path)).toEqual([`/api/datasets/google/wiki40b/tree/${commit}/de`]);
  });

  it("goes on with what came before the connection was cut, and when the first process was ended", async () => {
    const bytes = big();
    place.hub.put("some/big", { files: { [train]: bytes } });
    const rangeBytes = 50_000;
    const dataset = await open("some/big", { rangeBytes, retries: { attempts: 1, firstWait: 1 } });
    const [entry] = await dataset.list("data", false);
    place.hub.fault({ of: "/contents/", cutAfter: 10_000 });
    await expect(dataset.download(entry)).rejects.toMatchObject({ code: "io" }); // asks once only
    const patient = await open("some/big", { rangeBytes });
    const progress: number[] = [];
    place.hub.fault({ of: "/contents/", cutAfter: 10_000 });
    const path = await (
      await open("some/big", { rangeBytes, onDownload: ({ bytes }) => progress.push(bytes) })
    ).download(entry);
    expect(readFileSync(path)).toEqual(Buffer.from(bytes));
    expect(progress.at(-1)).toBe(bytes.length);
    expect(await patient.download(entry)).toBe(path);

    rmSync(place.cache, { recursive: true });
    const blob = join(place.cache, "datasets--some--big", "blobs", `${entry.digest}.incomplete`);
    const stopping = await open("some/big", {
      rangeBytes,
      onDownload: ({ bytes }) => {
        if (bytes >= 100_000) throw new Error("stopped");
      },
    });
    await expect(stopping.download(entry)).rejects.toThrow("stopped");
    expect(statSync(blob).size).toBe(100_000);
    place.hub.requests.length = 0;
    expect(readFileSync(await (await open("some/big", { rangeBytes })).download(entry))).toEqual(Buffer.from(bytes));
    expect(contents()[0].range).toBe("bytes=100000-149999");
    expect(existsSync(blob)).toBe(false);
  });

  it("brings the next file here while one is read, unless a limit may end there", async () => {
    const files = Object.fromEntries(
      [1, 2, 3].map((n) => [`train-${n}.parquet`, parquet({ text: chapters(n, n + 4) })]),
    );
    place.hub.put("some/files", { files });
    const fetched = async (options: CorpusOptions) => {
      rmSync(place.cache, { recursive: true, force: true });
      place.hub.requests.length = 0;
      const corpus = await openCorpus("hub:some/files", options);
      const source = corpus.splits.get("train");
      if (source === undefined) throw new Error("no split");
      for await (const piece of source.pieces()) {
        if (piece.document !== 0 || piece.input !== 0) continue;
        await vi.waitFor(() => expect(contents().some(({ path }) => path.includes("train-2"))).toBe(true), 300);
        expect(contents().some(({ path }) => path.includes("train-3"))).toBe(false);
        break;
      }
    };
    await fetched({});
    await expect(fetched({ limit: "100docs" })).rejects.toThrow();
    const { texts } = await textsOf("hub:some/files");
    expect(texts.train).toEqual([1, 2, 3].flatMap((n) => chapters(n, n + 4)));
    place.hub.fault({ of: "train-2", status: 403 }); // ahead, and not when it is opened
    rmSync(place.cache, { recursive: true, force: true });
    expect((await textsOf("hub:some/files")).texts.train).toHaveLength(texts.train.length);
  });

  it("never keeps contents other than listed", async () => {
    const bytes = big();
    place.hub.put("some/changed", { files: { [train]: bytes } });
    const dataset = await open("some/changed");
    const [entry] = await dataset.list("data", false);
    const other = Uint8Array.from(bytes);
    other[1000] ^= 1;
    const serve = (contents: Uint8Array) =>
      vi.spyOn(place.hub, "commitOf").mockReturnValue(dataset.commit) &&
      place.hub.put("some/changed", { files: { [train]: contents } });
    serve(other);
    await expect(dataset.download(entry)).rejects.toThrow(
      /data\/train.parquet does not match the checksum in its listing/,
    );
    expect(readdirSync(join(place.cache, "datasets--some--changed", "blobs"))).toEqual([]);
    serve(bytes.subarray(0, -500));
    await expect(dataset.download(entry)).rejects.toThrow(
      `has changed: it was listed with ${bytes.length} bytes and has ${bytes.length - 500} bytes now; run the same`,
    );
    place.hub.put("some/changed", { files: { other: bytes } });
    await expect(dataset.download(entry)).rejects.toThrow("bytes and is gone; run the same command again");
    serve(bytes);
    expect(readFileSync(await dataset.download(entry))).toEqual(Buffer.from(bytes));
    vi.restoreAllMocks();
  });

  it("that cannot be written is one sentence", async () => {
    const blocked = join(place.cache, "file");
    writeFileSync(blocked, "");
    await expect(open("google/wiki40b", { cache: blocked })).rejects.toMatchObject({
      code: "io",
      message: expect.stringMatching(/^hub: cannot keep main in .*make room or set HF_HUB_CACHE to another folder/),
    });
  });
});
