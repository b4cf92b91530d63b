import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { program } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { toOnnx } from "../onnx/model.ts";
import { runsPerSecond } from "./ort-file-speed.node.ts";

it("runs a model of a file with inputs of every type, and counts", async () => {
  const folder = mkdtempSync(join(tmpdir(), "longhand-speed-"));
  const [x, table, index] = [input("x", [64, 64]), input("table", [5, 64]), input("index", [64], "int32")];
  const mask = input("mask", [64, 64], "bool");
  const y = mask.where(x, x.matmul(x)).add(table.gather(index));
  const speeds: number[] = [];
  for (const [name, result] of Object.entries({
    one: y,
    many: Array.from({ length: 100 }).reduce<typeof y>((t) => t.matmul(x), y),
  })) {
    const file = join(folder, `${name}.onnx`);
    writeFileSync(file, toOnnx(program(name, { result })).bytes);
    speeds.push(await runsPerSecond(file, { threads: 1 }));
  }
  expect(speeds[1]).toBeGreaterThan(0);
  expect(speeds[0]).toBeGreaterThan(3 * speeds[1]);
  await expect(runsPerSecond(join(folder, "none.onnx"), { threads: 1 })).rejects.toThrow();
  rmSync(folder, { recursive: true });
});
