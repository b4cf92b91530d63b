/** The hub as a source, against one on loopback that answers like the real one. */
import { readdirSync, rmSync } from "node:fs";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { addresses, chapters, parquet, unmarked } from "../../../../test/support/hub/corpora.ts";
import { hubPlace, textsOf } from "../../../../test/support/hub/place.ts";
import { TestHub, TOKEN } from "../../../../test/support/hub/server.ts";
import { openCorpus } from "../corpus.ts";
import { parseHubAddress } from "./address.ts";
import { HubDataset } from "./client.ts";

const place = hubPlace();
const { open, contents } = place;
const big = () => parquet({ text: chapters(1, 30) });
const train = "data/train.parquet";

describe("the recipes", () => {
  it("read Wiki-40B as plain text, split as published", async () => {
    const { texts, corpus } = await textsOf("hub:wiki40b/en");
    expect(texts).toEqual({
      train: chapters(1, 14).map(unmarked),
      validation: chapters(14, 16).map(unmarked),
      test: chapters(16, 18).map(unmarked),
    });
    expect(corpus.data).toBe(`hub:wiki40b@${place.hub.commitOf("google/wiki40b")}/en`);
    expect(corpus.origin("test")).toEqual({ data: corpus.data, split: "test" });
    expect((await textsOf(String(corpus.data))).texts).toEqual(texts);
  });

  it("read PG-19 as whole books", async () => {
    const { texts } = await textsOf("hub:pg19");
    expect(texts.train).toEqual([
      chapters(1, 12).join("\n\n"),
      chapters(12, 20).join("\n\n"),
      addresses(0, 10).join("\n\n"),
    ]);
    expect(texts.test).toEqual([addresses(10, 14).join("\n\n")]);
  });

  it("read C4 and fetch no more than a limit asks for", async () => {
    expect((await textsOf("hub:c4/en")).texts).toEqual({ train: addresses(0, 40), validation: addresses(40, 44) });
    rmSync(place.cache, { recursive: true });
    place.hub.requests.length = 0;
    const { texts } = await textsOf("hub:c4", { limit: "12docs", split: "train" });
    expect(texts).toEqual({ train: addresses(0, 12) });
    expect(new Set(contents().map(({ path }) => path.slice(-24)))).toEqual(
      new Set(["train.00000-of-00004.json.gz", "train.00001-of-00004.json.gz"].map((name) => name.slice(-24))),
    );
  });

  it.each<[string, string]>([
    ["hub:c5", "`data` hub:c5: expected hub:owner/name or one of hub:wiki40b, hub:pg19, hub:c4 (did you mean hub:c4?)"],
    [
      "hub:c4/eng",
      "`data` hub:c4/eng: expected one of the variants en, en.noblocklist, en.noclean, realnewslike (did you mean en?)",
    ],
    ["hub:pg19/en", "`data` hub:pg19/en: pg19 has no parts: expected hub:pg19"],
    ["hub:a/../b", "`data` hub:a/../b: expected hub:owner/name or one of hub:wiki40b, hub:pg19, hub:c4"],
    ["hub:a/b@x%2F../c", '`data` hub:a/b@x%2F../c: "x/.." is not a revision: expected a branch, a tag or a commit'],
  ])("refuse %s", (data, message) => {
    expect(() => parseHubAddress(data)).toThrow(message);
  });
});

describe("any data set", () => {
  beforeAll(() => {
    place.hub.put("some/mixed", {
      files: {
        "README.md": Buffer.from("about"),
        "dataset_infos.json": Buffer.from("{}"),
        "a/train-0.jsonl": Buffer.from('{"body":"one"}\n{"body":"two"}'),
        "a/dev-0.jsonl": Buffer.from('{"body":"three"}'),
        "b/notes.txt": Buffer.from("four"),
      },
    });
  });

  it("is read by the names of its files, whole or below a path", async () => {
    const read = async (data: string, field?: string) => (await textsOf(data, { field })).texts;
    expect(await read("hub:some/mixed", "body")).toEqual({ train: ["one", "two"], validation: ["three"] });
    expect(await read("hub:some/mixed@main/a/dev-0.jsonl", "body")).toEqual({ train: ["three"] });
    expect(await read("hub:some/mixed/a/*-0.jsonl", "body")).toEqual({ train: ["one", "two"], validation: ["three"] });
    expect(await read("hub:some/mixed/b")).toEqual({ train: ["four"] });
    expect(await read("hub:some/mixed/README.md")).toEqual({ train: ["about"] });
    await expect(read("hub:some/mixed/c")).rejects.toThrow(
      /^hub: some\/mixed\/c has no parquet, JSON lines or text files/,
    );
    await expect(read("hub:some/mixed")).rejects.toThrow("has no field text; it has body: choose one with `field`");
  });

  it("lists the splits that there are", async () => {
    const request = openCorpus("hub:some/mixed", { split: "test" });
    await expect(request).rejects.toMatchObject({
      code: "usage",
      message: "`split` test: hub:some/mixed has only train and validation",
    });
    await expect(openCorpus("hub:some/mixed", { split: "tset" })).rejects.toThrow("(did you mean test?)");
  });
});

describe("what the hub refuses", () => {
  it("is asked again when it is busy or fails for a moment, as it wishes", async () => {
    place.hub.fault({ of: "/revision/", status: 429, headers: { "Retry-After": "0" } });
    place.hub.fault({ of: "/revision/", status: 503 });
    place.hub.fault({ of: "/tree/", status: 500 });
    const dataset = await open("google/wiki40b");
    expect(await dataset.list("en", false)).toHaveLength(4);
    expect(place.hub.requests.map(({ path }) => path.split("/")[5])).toEqual(
      "revision revision revision tree tree tree".split(" "), // two pages
    );
  });

  it.each<[string, number, Record<string, string>, RegExp]>([
    [
      "busy for long",
      429,
      { "Retry-After": "3600" },
      /allows no more requests for now \(429\); run the same command again in 60 minutes$/,
    ],
    ["busy", 429, {}, /allows no more requests for now \(429\); run the same command again later$/],
    ["broken", 502, {}, /answers with status 502; run the same command again later$/],
  ])("%s is an io error in the end", async (_, status, headers, message) => {
    place.hub.fault({ status, headers, times: status === 429 && headers["Retry-After"] ? 1 : 3 });
    await expect(open("google/wiki40b")).rejects.toMatchObject({ code: "io", message: expect.stringMatching(message) });
  });

  it("for want of a right is said, and the token goes to the hub alone", async () => {
    place.hub.put("some/private", { files: { [train]: big() }, access: "private" });
    place.hub.put("some/gated", { files: {}, access: "gated" });
    const withToken = place.options({ access: { endpoint: place.hub.endpoint, token: TOKEN } });
    await expect(open("some/private")).rejects.toThrow(
      "hub: there is no public data set some/private (401); check the name, or set HF_TOKEN to a token that may read it",
    );
    await expect(open("some/gated")).rejects.toThrow(
      /is not granted \(403\); accept its terms at http.*some\/gated, and set/,
    );
    await expect(HubDataset.open("some/none", undefined, withToken)).rejects.toThrow(
      /some\/none does not exist at .*\(404\)/,
    );
    await expect(HubDataset.open("google/wiki40b", "v9", withToken)).rejects.toThrow(/has no such revision \(404\)/);
    const wrong = { ...withToken, access: { ...withToken.access, token: "hf_wrong" } };
    await expect(HubDataset.open("google/wiki40b", undefined, wrong)).rejects.toThrow(
      "the token in HF_TOKEN was not accepted",
    );
    const dataset = await HubDataset.open("some/private", undefined, withToken);
    place.hub.requests.length = 0;
    await dataset.download((await dataset.list("data", false))[0]);
    for (const { path, authorization } of place.hub.requests) {
      expect(authorization).toBe(path.startsWith("/contents/") ? undefined : `Bearer ${TOKEN}`);
    }
    expect(contents().length).toBeGreaterThan(0);
  });

  it("without a network is one sentence", async () => {
    const gone = await TestHub.start();
    const access = { endpoint: gone.endpoint, token: undefined };
    await gone.stop();
    await expect(open("google/wiki40b", { access })).rejects.toMatchObject({
      code: "io",
      message: expect.stringMatching(/^hub: the connection to http:\S+ fails \(ECONNREFUSED\); check the network/),
    });
  });

  it("that is no hub at all is one sentence", async () => {
    place.hub.fault({ status: 200, headers: { "Content-Type": "text/html" } });
    await expect(open("google/wiki40b")).rejects.toMatchObject({
      code: "io",
      message: `hub: ${place.hub.endpoint} does not answer like a hub; check HF_ENDPOINT`,
    });
  });

  it("environment variables that cannot be meant are usage errors", async () => {
    vi.stubEnv("HF_ENDPOINT", "huggingface.co");
    await expect(openCorpus("hub:pg19")).rejects.toThrow("HF_ENDPOINT huggingface.co: expected an address");
    vi.stubEnv("HF_ENDPOINT", place.hub.endpoint);
    vi.stubEnv("HF_TOKEN", "secret");
    await expect(openCorpus("hub:pg19")).rejects.toThrow("HF_TOKEN: expected a token that begins with hf_");
  });
});

it("looks at files where they are, without keeping them", async () => {
  const corpus = await openCorpus("hub:pg19", { remote: true, split: "train" });
  for await (const { text } of corpus.splits.get("train")?.pieces([1]) ?? []) {
    expect(addresses(0, 1)[0].startsWith(text.slice(0, 100))).toBe(true);
    break;
  }
  const lines = await openCorpus("hub:c4", { remote: true });
  for await (const { text } of lines.splits.get("validation")?.pieces() ?? []) {
    expect(addresses(40, 41)[0].startsWith(text.slice(0, 100))).toBe(true);
    break;
  }
  expect(readdirSync(place.cache)).toEqual([]);
  const looked = new Set(contents().map(({ path }) => path.split("/").at(-1)));
  expect([...looked]).toEqual([
    "train-00001-of-00002-bbbbbbbbbbbbbbbb.parquet",
    "c4-validation.00000-of-00001.json.gz",
  ]);
});
