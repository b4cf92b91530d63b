/** Energy counters of folders that are laid out as Linux does. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { energyMeter } from "./power.ts";

const folder = mkdtempSync(join(tmpdir(), "longhand-power-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function zone(root: string, name: string, files: Readonly<Record<string, string | number>>): void {
  mkdirSync(join(root, name), { recursive: true });
  for (const file in files) writeFileSync(join(root, name, file), `${files[file]}\n`);
}

it("adds up the packages since the last call, over the end of a counter", () => {
  const root = join(folder, "two");
  const set = (first: number, second: number) => {
    zone(root, "intel-rapl:0", { name: "package-0", energy_uj: first, max_energy_range_uj: 10_000_000 });
    zone(root, "intel-rapl:1", { name: "package-1", energy_uj: second, max_energy_range_uj: 10_000_000 });
  };
  set(1_000_000, 9_000_000);
  zone(root, "intel-rapl:0:0", { name: "core", energy_uj: 5, max_energy_range_uj: 9 });
  zone(root, "intel-rapl:2", { name: "psys", energy_uj: 5, max_energy_range_uj: 9 });
  const meter = energyMeter(root);
  if (!("joules" in meter)) throw new Error(meter.missing);
  expect(meter.joules()).toBe(0);
  set(3_500_000, 9_500_000);
  expect(meter.joules()).toBe(3);
  set(3_500_000, 500_000);
  expect(meter.joules()).toBe(1);
});

it("says what is missing", () => {
  expect(energyMeter(join(folder, "none"))).toEqual({ missing: `there is no ${join(folder, "none")}` });
  const empty = join(folder, "empty");
  mkdirSync(empty);
  expect(energyMeter(empty)).toEqual({ missing: `no processor tells its energy in ${empty}` });
});
