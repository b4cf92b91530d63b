/** A preparation killed with -9 at many moments and gone on with: the same bytes as without, in every format. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { textInMemory } from "../../src/data/text-source.ts";
import { trainTokenizer } from "../../src/data/tokenizer.node.ts";
import { chapters, parquet } from "../support/hub/corpora.ts";
import { startPrepare } from "../support/prepare-process.ts";
import { fail, start, succeed, treeOf, workspace } from "./command.ts";

const { folder } = workspace();
const texts = chapters(1, 136);
const tokenizer = join(folder, "tokenizer.json");
beforeAll(async () => {
  const source = textInMemory("chapters", texts.slice(0, 3));
  writeFileSync(tokenizer, (await trainTokenizer({ source, vocabSize: 400, seed: 1 })).json);
});

/** Several files of one format, with a validation split. */
function corpus(name: string, ending: string, write: (texts: string[]) => string | Uint8Array): string {
  const dir = join(folder, name);
  for (const split of ["train", "validation"]) mkdirSync(join(dir, split), { recursive: true });
  for (let i = 0; i < 3; i++) {
    writeFileSync(join(dir, "train", `${i}${ending}`), write(texts.slice(45 * i, 45 * i + 45)));
  }
  writeFileSync(join(dir, "validation", `0${ending}`), write(texts.slice(0, 9)));
  return dir;
}

describe("a preparation killed with -9", { timeout: 240_000 }, () => {
  const formats: [string, (texts: string[]) => string | Uint8Array][] = [
    [".txt", (texts) => texts.join("\n")],
    [".jsonl.gz", (texts) => gzipSync(texts.map((text) => JSON.stringify({ text })).join("\n"))],
    [".parquet", (texts) => parquet({ text: texts })],
  ];
  it.each(formats)("again and again, of files %s, ends with the same bytes", async (ending, write) => {
    const data = corpus(`corpus${ending}`, ending, write);
    const settings = { data, tokenizer, threads: 2 };
    const whole = join(folder, `whole${ending}`);
    await startPrepare({ ...settings, out: whole, threads: 1 }).ended;
    expect(existsSync(join(whole, "validation", "index.json"))).toBe(true);

    const out = join(folder, `out${ending}`);
    let kills = 0;
    const kept: number[] = [];
    for (;;) {
      let seen = 0;
      const running = startPrepare({ ...settings, out }, ({ type }, child) => {
        // A little later than the batch: while it is written, while a shard is finished, while the journal is replaced.
        if (type === "tokens" && ++seen === 2) setTimeout(() => child.kill("SIGKILL"), (7 * kills) % 23);
      });
      const events = await running.ended;
      const resumed = events.find(({ type }) => type === "resumed");
      if (resumed !== undefined) kept.push(resumed.documents as number);
      if (running.child.signalCode === null) {
        expect(running.child.exitCode).toBe(0);
        break;
      }
      kills++;
      if (!existsSync(join(out, "validation", "index.json"))) continue;
      // The signal came after the last file: all there is to do is done, and the command would say so. What only a running
      // preparation needs may be left.
      for (const name of [".lock", "validation/progress.json"]) rmSync(join(out, name), { force: true });
      break;
    }
    expect(kills).toBeGreaterThan(1);
    expect(kept.length).toBeGreaterThan(0);
    expect(treeOf(out)).toEqual(treeOf(whole));
  });

  it("as the command itself goes on, with the tokenizer it had trained; other text is refused, another writer too", async () => {
    const data = join(folder, "big.jsonl");
    writeFileSync(
      data,
      Array.from({ length: 6 }, () => texts.map((text) => JSON.stringify({ text })).join("\n")).join("\n"),
    );
    const args = (out: string) => ["prepare", "--data", data, "--vocab", "300", "--out", join(folder, out)];
    const running = start(args("killed"), { timeoutMs: 200_000 });
    const path = join(folder, "killed", "progress.json");
    const documents = () => (existsSync(path) ? JSON.parse(readFileSync(path, "utf8")).documents : 0);
    while (documents() === 0 && running.child.exitCode === null) await wait(5);
    running.child.kill("SIGSTOP"); // the rest takes no second
    await fail(args("killed"), 2, /killed: process \d+ is preparing text in this folder; wait for it or stop it/);
    running.child.kill("SIGKILL");
    expect((await running.ended).signal).toBe("SIGKILL");
    const done = documents();
    expect(done).toBeGreaterThan(0);
    await fail(
      [...args("killed"), "--limit", "700docs"],
      2,
      /killed holds the first \d+ documents of an interrupted preparation, and it was of other text or options; choose another/,
    );
    await fail(["train", "--data", join(folder, "killed"), "--out", "never"], 1, /its preparation was interrupted/);
    const again = await succeed([...args("killed"), "--threads", "3"], { timeoutMs: 200_000 });
    expect(again.stderr).toContain(`going on after ${done} documents of train\n`);
    await succeed(args("uninterrupted"), { timeoutMs: 200_000 });
    expect(treeOf(join(folder, "killed"))).toEqual(treeOf(join(folder, "uninterrupted")));
  });

  it("with --threads that are no number is refused", async () => {
    const args = ["prepare", "--data", tokenizer, "--out", join(folder, "never"), "--threads"];
    await fail([...args, "0"], 2, /^longhand: --threads 0: /);
    await fail([...args, "many"], 2, /^longhand: --threads "many": /);
  });
});
