/**
 * Decoding FLASH, FLASH-Quad and all their ablations, token by token, in tiles and in whole chunks, is their training
 * form.
 */
import { describe, it } from "vitest";
import { expectRecurrentEqualsForward } from "../../test/support/recurrence.ts";
import { memoryNames } from "./distant-memory.ts";
import { flash } from "./flash.ts";
import { flashQuad } from "./flash-quad.ts";
import { ROTARY_BIAS_FROM } from "./positions.ts";

const [width, shared, chunk] = [4, 4, 8];
const unit = { width, expanded: 2 * width, shared, norm: "scale" } as const;

const flashes = [
  {},
  { attentionFunction: "softmax" },
  { attentionFunction: "laplace", tokenShift: true },
  { gate: false, norm: "layer" },
  { attention: "local", tokenShift: true },
  { attention: "local", attentionFunction: "softmax", gate: false },
  { attention: "global" },
  { attention: "global", tokenShift: true },
  ...memoryNames.slice(1).map((memory) => ({ memory: { memory, halfLives: [1, 50] as const } })),
  { attention: "global" as const, memory: { memory: "gated" as const, halfLives: [4, 16] as const } },
] as const;

const quads = [
  {},
  { attentionFunction: "softmax", tokenShift: true },
  { attentionFunction: "laplace", gate: false },
  { maxLength: ROTARY_BIAS_FROM },
] as const;

const cases = [
  ...flashes.map((fields) => [`flash ${JSON.stringify(fields)}`, flash({ ...unit, chunk, ...fields })] as const),
  ...quads.map(
    (fields) => [`quad ${JSON.stringify(fields)}`, flashQuad({ ...unit, maxLength: 260, ...fields })] as const,
  ),
];

describe.each(cases)("%s", (name, layer) => {
  it.each([1, 63, 257])("of %i tokens", (T) => {
    // Rotary biases of a distance come from constants that training rounds at each position.
    expectRecurrentEqualsForward({ name, layer, width, rotaryWidth: shared, tolerance: 1e-8 }, T);
  });
});

it("of flash with rotary biases, over a border of chunks", () => {
  const layer = flash({ ...unit, chunk: ROTARY_BIAS_FROM, tokenShift: true });
  const tested = { name: "rotary", layer, width, rotaryWidth: shared, tolerance: 1e-8 };
  expectRecurrentEqualsForward(tested, ROTARY_BIAS_FROM + 7);
});
