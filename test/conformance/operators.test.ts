/** Every engine on every case against the interpreter; and element-wise operators over generated broadcasts. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HostTensor } from "../../src/base/dtype.ts";
import { broadcastShapes, type Shape } from "../../src/base/shape.ts";
import { operatorNames } from "../../src/graph/ops/index.ts";
import { verify } from "../../src/graph/program.ts";
import type { Engine } from "../../src/runtime/engine.ts";
import { interpret } from "../reference/interpreter.ts";
import { expectClose } from "../support/compare.ts";
import { booleans, type Case, caseData, caseProgram, floats, nonzeros, operatorCase, ties } from "./case.ts";
import { cases } from "./cases.ts";
import { openEngine, testedEngines } from "./engines.ts";

async function check(engine: Engine, tested: Case): Promise<void> {
  const program = caseProgram(tested);
  verify(program);
  const expected = interpret(program, caseData(tested));
  const compiled = await engine.compile(program);
  try {
    const actual = await compiled.run(caseData(tested));
    expect(Object.keys(actual)).toEqual(Object.keys(expected));
    for (const [name, { data, shape }] of Object.entries(expected)) {
      expectClose(actual[name], data, { name: `${tested.name} ${name}`, tolerance: tested.tolerance, shape });
    }
  } finally {
    await compiled.release();
  }
}

describe("the case table", () => {
  it.each(operatorNames)("has several cases of %s", (operator) => {
    expect(cases.filter((c) => c.operator === operator).length).toBeGreaterThanOrEqual(5);
  });

  it("has no case twice", () => {
    const names = cases.map((c) => c.name);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });
});

describe.each(testedEngines)("%s", (name) => {
  let engine: Engine;
  beforeAll(() => {
    engine = openEngine(name);
  });
  afterAll(() => engine.close());

  for (const operator of operatorNames) {
    describe(operator, () => {
      for (const tested of cases.filter((c) => c.operator === operator)) {
        const reason = tested.skip?.[name];
        if (reason !== undefined) it.skip(`${tested.name}: ${reason}`, () => {});
        else it(tested.name, () => check(engine, tested));
      }
    });
  }

  it("broadcasts element-wise operators over any shapes", async () => {
    await fc.assert(
      fc.asyncProperty(elementwise, async (tested) => check(engine, tested)),
      { numRuns: 150 },
    );
  });
});

// ---- generated broadcasts

/** Two or three shapes that broadcast together: each keeps some trailing axes of one shape, some of them as size 1. */
function broadcastable(count: number): fc.Arbitrary<Shape[]> {
  return fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 5 }).chain((whole) => {
    const part = fc
      .tuple(
        fc.integer({ min: 0, max: whole.length }),
        fc.array(fc.boolean(), { minLength: whole.length, maxLength: whole.length }),
      )
      .map(([from, ones]) => whole.map((n, axis) => (ones[axis] ? 1 : n)).slice(from));
    return fc.array(part, { minLength: count, maxLength: count });
  });
}

const exact = { exact: true };
const values: Record<string, (shape: Shape, stream: string) => HostTensor> = { floats, nonzeros, ties, booleans };

const elementwise: fc.Arbitrary<Case> = fc.oneof(
  fc
    .tuple(fc.constantFrom("Add", "Sub", "Mul", "Max", "Min"), fc.constantFrom("floats", "ties"), broadcastable(2))
    .map(([operator, kind, [a, b]]) => operatorCase(operator, [values[kind](a, "a"), values[kind](b, "b")], {})),
  broadcastable(2).map(([a, b]) => operatorCase("Div", [floats(a, "a"), nonzeros(b, "b")], {})),
  fc
    .tuple(fc.constantFrom("Less", "Equal"), broadcastable(2))
    .map(([operator, [a, b]]) => operatorCase(operator, [ties(a, "a"), ties(b, "b")], {}, exact)),
  broadcastable(2).map(([a, b]) => operatorCase("And", [booleans(a, "a"), booleans(b, "b")], {}, exact)),
  broadcastable(3).map(([c, a, b]) =>
    operatorCase("Where", [booleans(c, "c"), floats(a, "a"), floats(b, "b")], {}, exact),
  ),
);

it("generates shapes that do broadcast", () => {
  fc.assert(
    fc.property(broadcastable(2), ([a, b]) => broadcastShapes(a, b) !== undefined),
    { numRuns: 100 },
  );
});
