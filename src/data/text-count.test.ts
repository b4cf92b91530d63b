import fc from "fast-check";
import { expect, it } from "vitest";
import { TextCounter } from "./text-count.ts";

it("counts code points and words of any text, however it is cut between code points", () => {
  const unit = fc.oneof(
    fc.string({ unit: "binary", maxLength: 3 }),
    fc.constantFrom(" ", "\n", "\u0085", "\u2003", "\u3000", "\ufeff", "a", "😀"),
  );
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 30 }), (parts) => {
      const counter = new TextCounter();
      for (const part of parts) counter.add(part);
      const text = parts.join("");
      expect(counter.characters).toBe([...text].length);
      expect(counter.words).toBe(text.split(/\p{White_Space}+/u).filter((word) => word !== "").length);
    }),
  );
});

it("begins a new word with a new document", () => {
  const counter = new TextCounter();
  counter.add("one");
  counter.add("half two");
  counter.endDocument();
  counter.add("three");
  expect(counter.words).toBe(3);
});
