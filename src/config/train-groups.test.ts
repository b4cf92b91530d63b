/** The groups of settings leave none out. */
import { expect, it } from "vitest";
import { commonTrainFields, trainGroups } from "./train-groups.ts";
import { trainSettingsSchema } from "./train-settings.ts";

const all = Object.keys(trainSettingsSchema.shape).sort();

it("every setting of a training is in one group", () => {
  expect(trainGroups.flatMap(({ fields }) => [...fields]).sort()).toEqual(all);
});

it("a dozen of them come first", () => {
  expect(new Set(commonTrainFields).size).toBe(12);
  for (const field of commonTrainFields) expect(all).toContain(field);
});
