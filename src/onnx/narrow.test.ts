import fc from "fast-check";
import { expect, it } from "vitest";
import { type Join, narrowJoins } from "./narrow.ts";

it("gives nodes of few parts that make up the whole in order, inner ones first", () => {
  const sizes = fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 120 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 2, max: 9 }), (lengths, most) => {
      const join: Join = { whole: "whole", parts: lengths.map((_, i) => `part ${i}`), sizes: lengths };
      const nodes = narrowJoins(join, most, (i) => `between ${i}`);
      const elements = new Map(join.parts.map((part, i) => [part, Array.from({ length: lengths[i] }, () => part)]));
      for (const { whole, parts, sizes: own } of nodes) {
        expect(parts.length).toBeLessThanOrEqual(most);
        const inner = parts.map((part) => elements.get(part) ?? expect.fail(`${part} is not there yet`));
        expect(own).toEqual(inner.map(({ length }) => length));
        expect(elements.has(whole)).toBe(false);
        elements.set(whole, inner.flat());
      }
      expect(nodes.at(-1)?.whole).toBe("whole");
      expect(elements.get("whole")).toEqual(join.parts.flatMap((part) => elements.get(part)));
    }),
  );
});

it("leaves a join alone that is narrow enough", () => {
  const join: Join = { whole: "whole", parts: ["a", "b", "c"], sizes: [1, 2, 3] };
  expect(narrowJoins(join, 3, () => "never")).toEqual([join]);
});
