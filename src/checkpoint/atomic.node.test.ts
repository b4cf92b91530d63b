import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LonghandError } from "../base/errors.ts";
import { writeError } from "../base/files.node.ts";
import { openAppendFile } from "./append.node.ts";
import {
  removeDirectoryAtomic,
  removeStaleTemporaries,
  setAside,
  writeDirectoryAtomic,
  writeFileAtomic,
} from "./atomic.node.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "longhand-atomic-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** The number of a process that is gone. */
const gone = (): number => spawnSync("true").pid;

describe("writeFileAtomic", () => {
  it("creates and replaces, and leaves nothing else behind", async () => {
    const path = join(dir, "a.txt");
    await writeFileAtomic(path, ["one"]);
    await writeFileAtomic(path, [Uint8Array.of(0x74, 0x77), "ö"]);
    expect(readFileSync(path, "utf8")).toBe("twö");
    expect(readdirSync(dir)).toEqual(["a.txt"]);
  });

  it("names the path and the matter when the system refuses, and removes the temporary", async () => {
    const missing = join(dir, "no", "a.txt");
    await expect(writeFileAtomic(missing, ["x"])).rejects.toMatchObject({
      code: "io",
      message: `cannot write ${missing}: its folder does not exist`,
    });
    mkdirSync(join(dir, "folder"));
    writeFileSync(join(dir, "folder", "inside"), "");
    await expect(writeFileAtomic(join(dir, "folder"), ["x"])).rejects.toMatchObject({ code: "io" });
    expect(readdirSync(dir)).toEqual(["folder"]);
  });
});

describe("writeDirectoryAtomic", () => {
  const fill = (text: string) => async (temporary: string) => {
    mkdirSync(join(temporary, "deep"));
    writeFileSync(join(temporary, "deep", "file"), text);
  };

  it("creates and replaces whole folders", async () => {
    const path = join(dir, "folder");
    await writeDirectoryAtomic(path, fill("one"));
    await writeDirectoryAtomic(path, fill("two"));
    expect(readFileSync(join(path, "deep", "file"), "utf8")).toBe("two");
    expect(readdirSync(dir)).toEqual(["folder"]);
  });

  it("keeps the old folder and rethrows when filling fails", async () => {
    const path = join(dir, "folder");
    await writeDirectoryAtomic(path, fill("one"));
    const failure = new Error("no more");
    const attempt = writeDirectoryAtomic(path, async (temporary) => {
      await fill("two")(temporary);
      throw failure;
    });
    await expect(attempt).rejects.toBe(failure);
    expect(readFileSync(join(path, "deep", "file"), "utf8")).toBe("one");
    expect(readdirSync(dir)).toEqual(["folder"]);
  });

  it("removes whole folders", async () => {
    const path = join(dir, "folder");
    await writeDirectoryAtomic(path, fill("one"));
    await removeDirectoryAtomic(path);
    expect(readdirSync(dir)).toEqual([]);
    await expect(removeDirectoryAtomic(path)).rejects.toMatchObject({ code: "io" });
  });
});

describe("removeStaleTemporaries", () => {
  it("removes what dead processes left, puts back what was set aside, and touches nothing else", async () => {
    const dead = gone();
    const running = process.ppid;
    for (const name of [
      `.new.tmp-${dead}-0123abcd`,
      `.kept.old-${dead}-0123abcd`,
      `.lost.old-${dead}-0123abcd`,
      `.busy.tmp-${running}-0123abcd`,
      `.mine.tmp-${process.pid}-0123abcd`,
      "kept",
      ".hidden",
      ".user.tmp",
    ]) {
      mkdirSync(join(dir, name));
      writeFileSync(join(dir, name, "content"), name);
    }
    expect([...(await setAside(dir)).keys()]).toEqual(["lost"]);
    expect(await removeStaleTemporaries(dir)).toBe(4);
    const left = [`.busy.tmp-${running}-0123abcd`, ".hidden", ".user.tmp", "kept", "lost"];
    expect(readdirSync(dir).sort()).toEqual(left.sort());
    expect(readFileSync(join(dir, "lost", "content"), "utf8")).toBe(`.lost.old-${dead}-0123abcd`);
    expect(await removeStaleTemporaries(dir, { all: true })).toBe(1);
    expect(await removeStaleTemporaries(join(dir, "missing"))).toBe(0);
  });
});

describe("openAppendFile", () => {
  it("appends, goes on where it was, and refuses an existing file when exclusive", () => {
    const path = join(dir, "log");
    for (const text of ["one\n", "two\n"]) {
      const file = openAppendFile(path);
      file.append(text);
      file.sync();
      file.close();
    }
    expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
    expect(() => openAppendFile(path, { exclusive: true })).toThrow(`cannot write ${path}: something of that name`);
  });
});

describe("writeError", () => {
  const refused = (code: string) => Object.assign(new Error(`${code}: raw`), { code, syscall: "write" });
  it.each([
    ["ENOSPC", "the disk is full; free some space and run the same command again"],
    ["EDQUOT", "your disk quota is used up; free some space and run the same command again"],
    ["EACCES", "no permission to write there; choose another folder or change its permissions"],
    ["EROFS", "the file system is read-only; choose a folder on another one"],
    ["EWHATEVER", "EWHATEVER: raw"],
  ])("says what %s means", (code, reason) => {
    const error = writeError(refused(code), "runs/a") as LonghandError;
    expect(error).toBeInstanceOf(LonghandError);
    expect(error).toMatchObject({ code: "io", message: `cannot write runs/a: ${reason}` });
  });

  it("says how much space is missing where the size is known, and passes other errors on", () => {
    const message = (writeError(refused("ENOSPC"), join(dir, "a"), { bytes: 1e18 }) as Error).message;
    expect(Number(/free (\d+) MB/.exec(message)?.[1])).toBeGreaterThan(1e11);
    const own = new LonghandError("config", "mine");
    expect(writeError(own, "runs/a")).toBe(own);
  });
});
