/** Wrong options and values: exit status 2, one sentence that names the option and the value, and nothing is written. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fail, succeed, tiny, treeOf, workspace } from "./command.ts";

const { folder, text } = workspace();
const file = (name: string, content: string) => {
  writeFileSync(join(folder, name), content);
  return name;
};
file("unknown.json", '{ "data": "text.txt", "stesp": 3 }');
file("wrong.json", '{ "data": "text.txt", "steps": "many" }');
file("list.json", "[]");
file("broken.json", '{ "steps": ');

beforeAll(async () => {
  await succeed(["train", "--data", text, "--out", join(folder, "run"), ...tiny, "--steps", "3"]);
}, 60_000);

const train = "train --data text.txt --out new";

/** [arguments, the sentence] */
const cases: [string, RegExp][] = [
  ["trian --data text.txt", /unknown command 'trian' \(did you mean train\?\)$/],
  ["--bogus", /unknown option '--bogus'$/],
  ["doctor more", /too many arguments for 'doctor'/],

  ["train", /--data is missing: give a text to learn, or --resume a run$/],
  ["train text.txt", /too many arguments for 'train'/],
  ["train --data", /option '--data <path...>' argument missing$/],
  [`${train} --stpes 3`, /unknown option '--stpes' \(did you mean --steps\?\)$/],
  [
    `${train} --preset nona`,
    /--preset "nona": expected one of nano, tiny, small, base, large \(did you mean nano\?\)$/,
  ],
  [`${train} --model flsh`, /--model "flsh": expected one of flash, flash-quad, .*did you mean flash\?/],
  [`${train} --device gpu`, /--device "gpu": expected one of auto, cpu, /],
  [`${train} --schedule linaer`, /--schedule "linaer": .*did you mean linear\?/],
  [`${train} --steps ten`, /--steps "ten": expected a whole number of at least 1$/],
  [`${train} --steps 1.5`, /--steps 1.5: expected a whole number of at least 1$/],
  [`${train} --steps 0`, /--steps 0: expected a whole number of at least 1$/],
  [`${train} --context -5`, /--context -5: expected a whole number of at least 1$/],
  [`${train} --lr 0`, /--lr 0: expected more than 0$/],
  [`${train} --lr 1e999`, /--lr "1e999": expected a number above 0, or auto$/],
  [`${train} --vocab 100`, /--vocab 100: expected a whole number of at least 260$/],
  [`${train} --vocab 40000`, /--vocab 40000: expected at most 30000$/],
  [`${train} --eval-fraction 1`, /--eval-fraction 1: expected less than 1$/],
  [`${train} --context 64 --chunk 65`, /chunk 65 does not fit a context of 64/],
  [`${train} --steps 10 --warmup 11`, /warmup 11 exceeds the 10 steps$/],
  [`${train} --set model.widht=32`, /--set model.widht: expected one of .*model\.width/],
  [`${train} --set model.vocabSize=9`, /--set model.vocabSize: expected one of /],
  [`${train} --set model.width`, /--set model.width: expected key=value/],
  [`${train} --set model.width=33`, /model.width\b.*33/],
  [`${train} --model transformer++ --set model.heads=5`, /model.heads 5: expected a divisor of the width 128$/],
  [`${train} --set model.width=wide`, /model.width\b.*"wide"/],
  [`${train} --model flash-quad --context 64 --set model.maxLength=32`, /context 64 exceeds .*maxLength of 32$/],

  ["train --config none.json", /--config none.json: .*no such file/],
  ["train --config unknown.json", /--config unknown.json: unknown flag stesp \(did you mean steps\?\)$/],
  ["train --config wrong.json", /--steps "many": expected a whole number of at least 1$/],
  ["train --config list.json", /--config list.json: expected a JSON object of flags$/],
  ["train --config broken.json", /--config broken.json: .*JSON/],

  ["train --data text.txt --out run", /--out run: .*not empty.*--out.*--resume run.*--overwrite$/],
  ["train --data text.txt --out .", /--out \.: .*not a run of Longhand/],
  ["train --data text.txt --out . --overwrite", /--out \.: --overwrite deletes only run folders/],
  ["train --data text.txt --out text.txt", /--out text.txt: it is, or lies under, a file/],
  ["train --data text.txt --out text.txt/run", /--out text.txt\/run: it is, or lies under, a file/],

  ["train --resume run --lr 0.1", /--lr cannot be combined with --resume/],
  ["train --resume run --data text.txt", /--data cannot be combined with --resume/],
  ["train --resume run --set model.width=8", /--set cannot be combined with --resume/],
  ["train --resume run --config list.json", /--config cannot be combined with --resume/],
  ["train --resume run --steps 2", /--steps 2: run is already at step 3; give a larger number$/],
  ["train --resume run --steps few", /--steps "few": expected a whole number of at least 1$/],

  ["eval run", /--data is missing/],
  ["eval", /missing required argument 'run'$/],
  ["eval run --data text.txt --context 0", /--context 0: expected a whole number of at least 1$/],
  ["eval run --data text.txt --context long", /--context "long": expected a whole number of at least 1$/],
  ["eval run --data text.txt --threads 0", /--threads 0: expected a whole number of at least 1$/],

  ["generate", /missing required argument 'run'$/],
  ["generate run hi --tokens some", /--tokens "some": expected a whole number of at least 1$/],
  ["generate run hi --tokens 0", /--tokens 0: expected a whole number of at least 1$/],
  ["generate run hi --temperature -1", /--temperature -1: expected at least 0$/],
  ["generate run hi --top-k 0", /--top-k 0: expected a whole number of at least 1$/],
  ["generate run hi --top-p 1.5", /--top-p 1.5: expected at most 1$/],
  ["generate run hi --min-p 1.5", /--min-p 1.5: expected at most 1$/],
  ["generate run hi --min-p -1", /--min-p -1: expected at least 0$/],
  ["generate run hi --typical-p 0", /--typical-p 0: expected more than 0$/],
  ["generate run hi --typical-p high", /--typical-p "high": expected a number$/],
  ["generate run hi --repetition-penalty 0", /--repetition-penalty 0: expected more than 0$/],
  ["generate run hi --repetition-window 0.5", /--repetition-window 0.5: expected a whole number of at least 1$/],
  ["generate run hi --repetition-window 1e9", /--repetition-window 1000000000: expected at most 1000000$/],
  ["generate run hi --seed 1.5", /--seed 1.5: expected a whole number of at least 0$/],
  ["generate run hi --threads 0.5", /--threads 0.5: expected a whole number of at least 1$/],
  ["generate run hi --device gpu", /--device "gpu": expected one of cpu, webgpu, cuda/],
  ["generate run hi --stop", /option '--stop <text>' argument missing$/],
];

describe("wrong usage", { timeout: 60_000 }, () => {
  it.concurrent.each(cases)("longhand %s", async (line, sentence) => {
    await fail(line.split(" "), 2, sentence, { cwd: folder });
  });

  it("has written and deleted nothing", () => {
    expect(
      Object.keys(treeOf(folder))
        .filter((name) => !name.startsWith("run/"))
        .sort(),
    ).toEqual(["broken.json", "list.json", "text.txt", "unknown.json", "wrong.json"]);
    expect(Object.keys(treeOf(join(folder, "run")))).toContain("checkpoints/step-00000003/model.safetensors");
  });
});
