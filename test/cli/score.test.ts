/** `longhand score`: tables, JSON lines, a log that is followed, two models, and what it refuses. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fail, jsonLines, start, succeed, tiny, workspace } from "./command.ts";

const { folder, text } = workspace();
const run = join(folder, "run");
const other = join(folder, "other");
const masked = join(folder, "masked");

beforeAll(async () => {
  await succeed(["train", "--data", text, "--out", run, ...tiny, "--steps", "40", "--lr", "0.01"]);
  await succeed(["train", "--data", text, "--out", other, ...tiny, "--steps", "1", "--vocab", "400"]);
  await succeed(["train", "--data", text, "--out", masked, ...tiny, "--steps", "1", "--objective", "masked"]);
}, 120_000);

const scored = (...args: string[]) => succeed(["score", run, ...args]);

describe("longhand score", { timeout: 60_000 }, () => {
  it("ranks documents and shows the lines that surprise most", async () => {
    const odd = join(folder, "odd.txt");
    writeFileSync(odd, "It was the whale.\n%%% 0x7f3a ÿÿ \u001b[31m ~~~\nIt was the whale.\n");
    const { stdout } = await scored(text, odd, "--top", "1", "--by", "byte");
    const [header, first, lines, line, ...more] = stdout.split("\n");
    expect(header).toBe("bits a byte, bits a token, lines, tokens, document (1 of 2)");
    expect(first).toMatch(/^ +\d+\.\d{4} +\d+\.\d{3} +3 +\d+ {2}.*odd\.txt$/);
    expect(lines).toMatch(/^bits a byte, line \(1 of [\d,]+\)$/);
    expect(line).toMatch(/^ +\d+\.\d{3} {2}.*odd\.txt:2 {2}%%% 0x7f3a ÿÿ \ufffd\[31m ~~~$/);
    expect(more).toEqual([""]);
  });

  it("prints a JSON record of every line and document, whose sums are those of eval", async () => {
    const records = jsonLines((await scored(text, "--json")).stdout) as {
      type: string;
      bits: number;
      text: string;
      endBits: number;
      tokens: number;
    }[];
    const lines = records.filter(({ type }) => type === "line");
    const [document] = records.slice(-1);
    expect(lines.map((line) => `${line.text}\n`).join("")).toBe(`${readFileSync(text, "utf8")}\n`);
    expect(lines.reduce((sum, { bits }) => sum + bits, 0)).toBe(document.bits);
    const evaluated = jsonLines((await succeed(["eval", run, "--data", text, "--whole", "--json"])).stdout);
    const { loss, tokens } = evaluated[0] as { loss: number; tokens: number };
    expect((document.bits + document.endBits) / ((loss * tokens) / Math.LN2)).toBeCloseTo(1, 6);
    const all = jsonLines((await scored(text, "--json", "--tokens")).stdout);
    expect(all.filter(({ type }) => type === "token")).toHaveLength(document.tokens);
  });

  it("writes a page in which tokens are shaded, with nothing of the text as markup", async () => {
    const odd = join(folder, "markup.txt");
    const page = join(folder, "page.html");
    writeFileSync(odd, "It was the whale.\n<script>alert('é字')</script>\n");
    await scored(odd, "--html", page, "--against", other);
    const html = readFileSync(page, "utf8");
    expect(html).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(html).not.toMatch(/<script/);
    const rows = [
      ...html.matchAll(
        /<tr><th scope="row">(\d+)<\/th><td>[\d.]+<\/td><td>[\d.]+<\/td><td>-?[\d.]+<\/td><td>(.*)<\/td>/g,
      ),
    ];
    const shown = rows.map(([, line, spans]) => [line, spans.replace(/<[^>]*>/g, "")]);
    expect(shown).toEqual([
      ["1", "It was the whale.↵"],
      ["2", "&lt;script&gt;alert(&#39;é字&#39;)&lt;/script&gt;↵"],
    ]);
    expect(html).toMatch(/<span class="s[1-4]" title="[\d.]+ bits">/);
    await fail(
      ["score", run, odd, "--html", join(folder, "missing", "page.html")],
      2,
      /there is no folder .*missing; make it first/,
    );
  });

  it("says what another model would need", async () => {
    const { stdout } = await scored(text, "--against", other, "--top", "2");
    const [header, document, lines, line] = stdout.split("\n");
    expect(header).toBe("bits a byte, bits a token, saved a byte, lines, tokens, document");
    expect(Number(document.trim().split(/\s+/)[2])).toBeGreaterThan(0.1);
    expect(lines).toMatch(/^bits, saved, line \(2 of /);
    expect(line).toMatch(/^ +\d+\.\d +-?\d+\.\d +\d+ {2}/);
  });

  it("prints lines of a log as they come, and ends with the input", async () => {
    const input = "It was the whale.\nand the";
    const { child, saw, ended } = start(["score", run, "-", "--threshold", "0"], { input, goesOn: true });
    await saw(/^ +\d+\.\d +1 {2}It was the whale\.\n$/);
    child.stdin?.write(" ship\r\n");
    await saw(/\n +\d+\.\d +2 {2}and the ship\n$/);
    child.stdin?.end("the end");
    const { status, stdout, stderr } = await ended;
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/\n +\d+\.\d +3 {2}the end\n$/);
  });

  it("prints only lines above the threshold", async () => {
    const input = "It was the whale.\n\u00ff\u00ff\u00ff~~~\u00ff\u00ff|||||\u00ff@@@@\nIt was the whale.\n";
    const { stdout } = await succeed(["score", run, "-", "--threshold", "4.5", "--by", "byte", "--json"], { input });
    const records = jsonLines(stdout);
    expect(records.map(({ type, line }) => [type, line])).toEqual([
      ["line", 2],
      ["document", undefined],
    ]);
  });

  it("ends cleanly on Ctrl-C, and when its reader leaves", async () => {
    const input = "It was the whale.\n";
    const follow = ["score", run, "-", "--threshold", "0"];
    const { child, saw, ended } = start(follow, { input, goesOn: true });
    await saw(/whale/);
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ status: 0, signal: null, stderr: "\nstopping\n" });
    const through = ["bash", "-c", 'set -o pipefail; "$@" | head -n 1', "bash"];
    const piped = start(follow, { input, goesOn: true, through });
    await piped.saw(/whale/);
    piped.child.stdin?.write(input); // to be printed for nobody
    expect(await piped.ended).toMatchObject({ status: 0, stderr: "" });
  });

  it("refuses bad input in one sentence", async () => {
    const file = (name: string, content: string | Uint8Array) => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    };
    const refused = (data: string, sentence: RegExp) => fail(["score", run, data], 1, sentence);
    await refused(join(folder, "missing.txt"), /missing\.txt does not exist/);
    await refused(file("empty.txt", ""), /empty\.txt is empty/);
    await refused(
      file("latin.txt", Buffer.of(0x61, 0xe9, 0x61)),
      /latin\.txt is not UTF-8: invalid byte 0xe9 at offset 1/,
    );
    await refused(file("binary.txt", Buffer.of(0x7f, 0x45, 0, 1)), /binary\.txt is binary/);
    mkdirSync(join(folder, "none"));
    await refused(join(folder, "none"), /contains no text files/);
    await fail(["score", masked, text], 2, /trained with the masked objective .*score takes a causal model$/);
    await fail(["score", run, text, "--against", masked], 2, /masked: it was trained with the masked objective/);
    await fail(["score", run, text, "--by", "size"], 2, /--by/);
  });
});
