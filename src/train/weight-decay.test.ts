import { describe, expect, it } from "vitest";
import { decayForText } from "./weight-decay.ts";

const reading = { rate: 0.01, steps: 500, tokensPerStep: 4096, textTokens: 1_467_977 };

describe("decayForText", () => {
  it("spreads one amount over the steps that read the text once", () => {
    expect(decayForText(reading)).toBe(0.56); // 2 / 358.4 / 0.01
    expect(decayForText({ ...reading, tokensPerStep: 1024, steps: 5000 })).toBe(0.14);
    expect(decayForText({ ...reading, rate: 0.02 })).toBe(0.28);
  });

  it("spreads it over all steps where they do not read the whole text", () => {
    expect(decayForText({ ...reading, textTokens: 1e9 })).toBe(0.4); // 2 / 500 / 0.01
    expect(decayForText({ ...reading, textTokens: 1e9, steps: 10_000 })).toBe(0.02);
  });

  it("takes at most a fiftieth of a parameter in a step, however short the text", () => {
    expect(decayForText({ ...reading, textTokens: 292_107 })).toBe(2);
    expect(decayForText({ ...reading, textTokens: 100 })).toBe(2);
    expect(decayForText({ ...reading, textTokens: 100, rate: 0.001 })).toBe(20);
    expect(decayForText({ ...reading, steps: 1 })).toBe(2);
  });
});
