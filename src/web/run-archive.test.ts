/** A run folder as a zip file and back, and what is refused. */
import { strToU8, unzipSync, zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { archiveOf, type PickedFile, unpackRun } from "./run-archive.ts";
import { filesInMemory } from "./run-files.ts";

const pickedFile = (path: string, content: string | Uint8Array): PickedFile => {
  const name = path.split("/").at(-1) as string;
  return { path, file: new File([content as Uint8Array<ArrayBuffer> | string], name) };
};
const zip = (entries: Record<string, string>) =>
  zipSync(Object.fromEntries(Object.entries(entries).map(([path, text]) => [path, strToU8(text)])));
const namesOf = async (picked: readonly PickedFile[]) => {
  const { name, files } = await unpackRun(picked);
  return { name, paths: [...files.keys()].sort() };
};

describe("archives of runs", () => {
  const run = { "config.json": "{}", "tokenizer.json": "{}", "data/train/shard-00000.bin": "tokens" };

  it("hold the run with its newest whole checkpoint, and come back as they went", async () => {
    const steps = ["step-00000005", "step-00000010"].flatMap((step) =>
      ["model.safetensors", "state.json"].map((file) => [`checkpoints/${step}/${file}`, step]),
    );
    const torn = ["checkpoints/step-00000015/model.safetensors", "begun"];
    const all: Record<string, string> = { ...run, ...Object.fromEntries([...steps, torn]) };
    const files = filesInMemory(Object.entries(all).map(([path, text]) => [path, strToU8(text)]));
    const archive = await archiveOf(files, "book");
    const kept = Object.keys(all).filter((path) => !/step-000000(05|15)/.test(path));
    expect(Object.keys(unzipSync(archive)).sort()).toEqual(kept.map((path) => `book/${path}`).sort());
    expect(await namesOf([pickedFile("other.zip", archive)])).toEqual({ name: "book", paths: kept.sort() });
  });

  it("are found in a folder, below others, without what no run has", async () => {
    const files = { ...run, "../outside": "x", "data/train/../../evil.bin": "x", ".lock": "x", "notes.txt": "x" };
    const picked = Object.entries(files).map(([path, text]) => pickedFile(`runs/book/${path}`, text));
    expect(await namesOf(picked)).toEqual({ name: "book", paths: Object.keys(run).sort() });
    const archive = zip({ "a/book/config.json": "{}", "a/book/deeper/config.json": "{}", "a/book/../x": "y" });
    expect(await namesOf([pickedFile("my.zip", archive)])).toEqual({ name: "book", paths: ["config.json"] });
  });

  it("are refused where there is no run in them", async () => {
    await expect(unpackRun([])).rejects.toThrow("got none");
    await expect(unpackRun([pickedFile("letter.txt", "Dear reader")])).rejects.toThrow(
      "letter.txt: this is no model of Longhand: there is no config.json in it",
    );
    await expect(unpackRun([pickedFile("cut.zip", zip(run).subarray(0, 100))])).rejects.toThrow(
      "cut.zip: this is no zip",
    );
    await expect(unpackRun([pickedFile("config.json", "[")])).rejects.toThrow("config.json: it is not valid JSON");
    const exported = JSON.stringify({ format: "longhand-export", version: 1 });
    await expect(unpackRun([pickedFile("config.json", exported)])).rejects.toThrow("this is an export");
  });

  it("are refused before memory is taken for more than 2 GiB", async () => {
    const bomb = zip({ "config.json": "{}", "tokenizer.json": "x".repeat(1000) });
    const view = new DataView(bomb.buffer, bomb.byteOffset, bomb.length);
    for (let at = 0; at < bomb.length - 46; at++) {
      if (view.getUint32(at, true) === 0x02014b50) view.setUint32(at + 24, 0x7fffffff, true); // what the directory says
    }
    await expect(unpackRun([pickedFile("bomb.zip", bomb)])).rejects.toThrow("bomb.zip: it is larger than 2 GiB");
  });
});
