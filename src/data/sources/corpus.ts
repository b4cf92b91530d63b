/** Opens what `--data` can name (paths, a pattern, `-`, an address on the hub) as one source of text for each split. */
import { resolve } from "node:path";
import { LonghandError } from "../../base/errors.ts";
import { type DataSpec, nameOf } from "../data-spec.ts";
import { type Limit, limited, parseLimit } from "../limit.ts";
import type { ShardOrigin } from "../shard-format.ts";
import type { TextSource } from "../text-source.ts";
import { isHubAddress, parseHubAddress } from "./hub/address.ts";
import { HubDataset, type HubOptions } from "./hub/client.ts";
import { findOnHub } from "./hub/find.ts";
import { hubAccess } from "./hub/http.ts";
import type { Reading } from "./records.ts";
import { parseSplit, SPLITS, type Split } from "./splits.ts";
import { type FilesBySplit, type FoundFile, findLocal, sourceOf, storeInput } from "./text.ts";

export interface CorpusOptions {
  /** Field of JSON lines or column of parquet that holds the text; default: the recipe's, or "text". */
  readonly field?: string | undefined;
  /** Only this split. */
  readonly split?: string | undefined;
  /** Of each split at most so much: "500MB", "10000docs". */
  readonly limit?: string | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
  readonly onDownload?: HubOptions["onDownload"];
  /** Read files of the hub by ranges where they are, instead of fetching them whole. */
  readonly remote?: boolean | undefined;
  /** What `-` stands for; default: standard input. */
  readonly input?: NodeJS.ReadableStream | undefined;
}

export interface Corpus {
  /** What to give as `data` to get the same again: an absolute path, or the hub's address with the commit. */
  readonly data: DataSpec;
  /** In the order in which they are published; at least one. */
  readonly splits: ReadonlyMap<Split, TextSource>;
  /** What goes into index.json of the shards of a split. */
  origin(split: Split): ShardOrigin;
  /** Removes temporary copies. */
  close(): Promise<void>;
}

interface Found {
  readonly data: DataSpec;
  readonly files: FilesBySplit;
  readonly field?: string | undefined;
  readonly transform?: Reading["transform"];
  readonly close?: () => Promise<void>;
}

/** Throws "usage" for what makes no sense, "data" for what is not there, "io" for disk and network. */
export async function openCorpus(data: DataSpec, options: CorpusOptions = {}): Promise<Corpus> {
  const { field, limit } = options;
  const wanted = options.split === undefined ? undefined : parseSplit(options.split);
  const most: Limit | undefined = limit === undefined ? undefined : parseLimit(limit);
  const found = await find(data, options);
  const { close = async () => {} } = found;
  const warned = new Set<string>(); // a text is read more than once, and warned about once
  const onWarning = (message: string) => {
    if (!warned.has(message)) options.onWarning?.(message);
    warned.add(message);
  };
  const reading: Reading = { field: field ?? found.field ?? "text", transform: found.transform, onWarning };
  const splits = new Map<Split, TextSource>();
  for (const split of SPLITS) {
    const files = found.files[split];
    if (files === undefined || (wanted !== undefined && split !== wanted)) continue;
    // With a limit, the first file may be enough: none is fetched ahead.
    const source = sourceOf(nameOf(data), files, reading, { ahead: most === undefined });
    splits.set(split, most === undefined ? source : limited(source, most));
  }
  if (splits.size === 0) {
    await close();
    const there = SPLITS.filter((split) => found.files[split] !== undefined);
    throw new LonghandError("usage", `\`split\` ${options.split}: ${nameOf(data)} has only ${there.join(" and ")}`);
  }
  const several = Object.keys(found.files).length > 1;
  return {
    data: found.data,
    splits,
    origin: (split) => ({
      data: found.data,
      ...(several ? { split } : {}),
      ...(field === undefined ? {} : { field }),
      ...(limit === undefined ? {} : { limit }),
    }),
    close,
  };
}

async function find(data: DataSpec, options: CorpusOptions): Promise<Found> {
  if (typeof data !== "string") {
    if (data.length === 1) return find(data[0], options);
    return { data: data.map((path) => resolve(path)), files: { train: await filesOf(data) } };
  }
  if (data === "-") {
    const kind = options.field === undefined ? "text" : "json-lines"; // text has no fields
    const { found, close } = await storeInput(options.input ?? process.stdin, kind);
    return { data, files: { train: [found] }, close };
  }
  if (!isHubAddress(data)) return { data: resolve(data), files: await findLocal(data) };
  const address = parseHubAddress(data);
  const { onDownload, remote } = options;
  const dataset = await HubDataset.open(address.repo, address.revision, {
    access: hubAccess(process.env),
    onDownload,
    remote,
  });
  const files = await findOnHub(dataset, address);
  const { field, transform } = address.recipe?.recipe ?? {};
  return { data: address.at(dataset.commit), files, field, transform };
}

/** All files of several paths, in this order, as one text. Throws "usage" when one is not a path. */
async function filesOf(paths: readonly string[]): Promise<FoundFile[]> {
  const files: FoundFile[] = [];
  for (const path of paths) {
    if (path === "-" || isHubAddress(path)) {
      throw new LonghandError("usage", `\`data\` ${path}: it cannot be given together with other data`);
    }
    files.push(...Object.values(await findLocal(path)).flat());
  }
  return files;
}
