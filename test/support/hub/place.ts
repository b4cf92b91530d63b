/** A cache folder and a loopback hub for one test file: the three corpora on it, and what the tests ask of them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, vi } from "vitest";
import { type Corpus, type CorpusOptions, openCorpus } from "../../../src/data/sources/corpus.ts";
import { HubDataset, type HubOptions } from "../../../src/data/sources/hub/client.ts";
import { c4, pg19, wiki40b } from "./corpora.ts";
import { type SeenRequest, TestHub } from "./server.ts";

export interface HubPlace {
  readonly hub: TestHub;
  /** The folder of the cache, a new one for each test. */
  readonly cache: string;
  options(more?: Partial<HubOptions>): HubOptions;
  open(name: string, more?: Partial<HubOptions>): Promise<HubDataset>;
  /** Requests for contents since the test began. */
  contents(): SeenRequest[];
}

/** Starts a hub before the tests of a file and stops it after them; HF_ENDPOINT and HF_HUB_CACHE point at it. */
export function hubPlace(): HubPlace {
  let hub: TestHub;
  let cache: string;
  beforeAll(async () => {
    hub = await TestHub.start();
    hub.put("google/wiki40b", wiki40b());
    hub.put("emozilla/pg19", pg19());
    hub.put("allenai/c4", c4());
  });
  afterAll(() => hub.stop());
  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), "longhand-hub-"));
    vi.stubEnv("HF_ENDPOINT", `${hub.endpoint}/`);
    vi.stubEnv("HF_TOKEN", "");
    vi.stubEnv("HF_HUB_CACHE", cache);
    hub.requests.length = 0;
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(cache, { recursive: true, force: true });
  });
  const options = (more: Partial<HubOptions> = {}): HubOptions => ({
    access: { endpoint: hub.endpoint, token: undefined },
    cache,
    retries: { attempts: 3, firstWait: 1 },
    ...more,
  });
  return {
    get hub() {
      return hub;
    },
    get cache() {
      return cache;
    },
    options,
    open: (name, more) => HubDataset.open(name, undefined, options(more)),
    contents: () => hub.requests.filter(({ path }) => path.startsWith("/contents/")),
  };
}

/** The documents of each split. */
export async function textsOf(
  data: string,
  options: CorpusOptions = {},
): Promise<{ corpus: Corpus; texts: Record<string, string[]> }> {
  const corpus = await openCorpus(data, options);
  const texts: Record<string, string[]> = {};
  for (const [split, source] of corpus.splits) {
    texts[split] = [];
    let text = "";
    for await (const piece of source.pieces()) {
      text += piece.text;
      if (!piece.last) continue;
      texts[split].push(text);
      text = "";
    }
  }
  return { corpus, texts };
}
