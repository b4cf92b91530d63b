/** Settings as fields of a form. */
import { expect, it } from "vitest";
import { z } from "zod";
import { resumeSettingsSchema, trainSettingsSchema } from "../../src/config/train-settings.ts";
import type { JsonSchema } from "../../src/studio/api.ts";
import { groupsOf, kindOf, settingsOf, titleOf } from "./fields.ts";

const schemaOf = (schema: z.ZodType) => z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
const settings = schemaOf(trainSettingsSchema);

it("every setting has one place in the form, the dozen that matter first", () => {
  const groups = groupsOf(settings);
  const placed = groups.flatMap(({ fields }) => fields);
  expect([...placed].sort()).toEqual(Object.keys(trainSettingsSchema.shape).sort());
  expect(groups[0].fields.slice(0, 3)).toEqual(["data", "out", "preset"]);
  expect(groups[0].fields).toHaveLength(12);
});

it("what is written is the setting that the schema takes, without those that are as they are anyway", () => {
  const written = {
    ...{ data: "moby.txt", steps: "50", lr: "0.01", preset: "nano", model: "mc-tfm++", overwrite: "true", clip: "" },
    ...{ freeze: "embedding, layers.0-3", chunk: " " },
  };
  const made = settingsOf(written, settings);
  expect(made).toEqual({
    ...{ data: "moby.txt", steps: 50, lr: 0.01, model: "mc-tfm++", overwrite: true },
    freeze: ["embedding", "layers.0-3"],
  });
  expect(trainSettingsSchema.safeParse(made).error).toBeUndefined();
  expect(settingsOf({ lr: "auto", steps: "many" }, settings)).toEqual({ lr: "auto", steps: "many" });
});

it("knows the kind of every field", () => {
  const kinds = (schema: JsonSchema) =>
    Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, field]) => [name, kindOf(field)]));
  expect(kinds(schemaOf(resumeSettingsSchema))).toMatchObject({ steps: "number", recompute: "choice", out: "text" });
  expect(kinds(settings)).toMatchObject({ data: "text", preset: "choice", overwrite: "switch", freeze: "list" });
  expect(titleOf("evalEvery")).toBe("Eval every");
});
