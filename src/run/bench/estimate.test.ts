/** What follows from measured speeds, by hand. */
import { describe, expect, it } from "vitest";
import { efficiencyOf, estimated, type Measured, wattsOf } from "./estimate.ts";

const rate = 100e9;
const size = { memoryBytes: 1e9, fits: true } as const;
const measured: Measured = {
  ...{ ...size, preset: "nano", parameters: 1e6, flopsPerToken: 5e6 },
  speed: {
    training: { steps: 5, seconds: 2, tokens: 20_000, joules: 100 },
    decoding: { steps: 300, seconds: 1, tokens: 300, joules: undefined },
  },
};
const other: Measured = { ...size, preset: "tiny", parameters: 4e6, flopsPerToken: 20e6, speed: {} };

describe("estimates", () => {
  it("of a measured size are its own", () => {
    expect(estimated([measured], rate)).toEqual([
      {
        ...{ ...size, preset: "nano", parameters: 1e6, flopsPerToken: 5e6 },
        ...{ tokensPerSecond: 10_000, steps: 5, efficiency: 0.5 },
        ...{ tokens: 20e6, days: 2000 / 86_400, wattHours: (50 * 2000) / 3600 },
        ...{ decodingPerSecond: 300, decodingSteps: 300 },
      },
    ]);
  });

  it("of another take its efficiency and power, and a time for each parameter", () => {
    const [, { tokensPerSecond, steps, days, wattHours, decodingPerSecond, decodingSteps }] = estimated(
      [measured, other],
      rate,
    );
    expect([tokensPerSecond, steps, decodingPerSecond, decodingSteps]).toEqual([2500, 0, 75, 0]);
    expect(days).toBeCloseTo(80e6 / 2500 / 86_400, 10);
    expect(wattHours).toBeCloseTo((50 * 32_000) / 3600, 6);
  });

  it("come from arithmetic alone where nothing was measured", () => {
    const [{ tokensPerSecond, efficiency, wattHours, decodingPerSecond }] = estimated([other], rate);
    expect(tokensPerSecond).toBe((efficiency * rate) / other.flopsPerToken);
    expect(efficiency).toBe(efficiencyOf([], rate));
    expect([wattHours, decodingPerSecond]).toEqual([null, null]);
  });

  it("know no power where no step told its energy", () => {
    const silent = { steps: 1, seconds: 1, tokens: 1, joules: undefined };
    expect(wattsOf([{ ...measured, speed: { training: silent } }])).toBeNull();
    expect(wattsOf([measured, { ...other, speed: { training: { ...silent, seconds: 8, joules: 100 } } }])).toBe(20);
  });
});
